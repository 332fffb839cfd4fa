/** Dynamically quantized modules, as in torch.ao.nn.quantized.dynamic. */

export * from "./conv.ts";
export * from "./linear.ts";
export { GRU, LSTM } from "./rnn.ts";
export type { DynamicRecurrentOptions } from "./rnn.ts";
export * from "./rnn-cell.ts";
