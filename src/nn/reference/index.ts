/** Reference layers, as in torch.ao.nn.quantized.reference. */

export * from "./conv.ts";
export * from "./conv-transpose.ts";
export * from "./embedding.ts";
export * from "./linear.ts";
export * from "./rnn.ts";
export { observeWeightQParams } from "./weight.ts";
export type { WeightQParams } from "./weight.ts";
