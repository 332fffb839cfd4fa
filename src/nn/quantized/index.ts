/** Quantized modules, as in torch.ao.nn.quantized. */

export { FXFloatFunctional, FloatFunctional } from "../float-functional.ts";
export type { FunctionalOperations } from "../float-functional.ts";
export * from "./activation.ts";
export { BatchNorm2d, BatchNorm3d } from "./batch-norm.ts";
export { Conv1d, Conv2d, Conv3d } from "./conv.ts";
export { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from "./conv-transpose.ts";
export * from "./dropout.ts";
export { Embedding, EmbeddingBag } from "./embedding.ts";
export * from "./functional-modules.ts";
export * as functional from "./functional.ts";
export { Linear } from "./linear.ts";
export * from "./multihead-attention.ts";
export * from "./normalization.ts";
export type { FromFloatOptions } from "./observed.ts";
export * from "./quantize.ts";
export * from "./rnn.ts";
