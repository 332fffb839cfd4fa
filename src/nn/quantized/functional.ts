/** Operators on quantized tensors, as in torch.ao.nn.quantized.functional and torch.ops.quantized. */

export * from "../../ops/quantized/activations.ts";
export * from "../../ops/quantized/arithmetic.ts";
export { quantizedConv1d, quantizedConv2d, quantizedConv3d, quantizedConvAdd2d } from "../../ops/quantized/conv.ts";
export * from "../../ops/quantized/conv-transpose.ts";
export * from "../../ops/quantized/dynamic.ts";
export { quantizedEmbedding, quantizedEmbeddingBag } from "../../ops/quantized/embedding.ts";
export { DEFAULT_ENGINE } from "../../ops/quantized/engines.ts";
export type { QEngine } from "../../ops/quantized/engines.ts";
export { quantizedCat, quantizedMatmul, quantizedSoftmax } from "../../ops/quantized/joins.ts";
export * from "../../ops/quantized/linear-activation.ts";
export { quantizedLinear } from "../../ops/quantized/linear.ts";
export {
  quantizedBatchNorm,
  quantizedGroupNorm,
  quantizedInstanceNorm,
  quantizedLayerNorm,
} from "../../ops/quantized/norms.ts";
export { quantizedPrelu } from "../../ops/quantized/prelu.ts";
