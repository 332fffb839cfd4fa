/** Layers with fake-quantized weights, as in torch.ao.nn.qat. */

export { Conv1d, Conv2d, Conv3d } from "./conv.ts";
export type { QatConvOptions } from "./conv.ts";
export * from "./embedding.ts";
export * from "./linear.ts";
