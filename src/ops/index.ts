/**
 * The operators as functions, and the means to define and find operator records.
 */

export { hardsigmoid, hardswish, hardtanh, leakyRelu, prelu, relu, relu6, threshold } from "./activation-linear.ts";
export {
  celu,
  elu,
  gelu,
  glu,
  logSigmoid,
  mish,
  selu,
  sigmoid,
  silu,
  softplus,
  softsign,
} from "./activation-smooth.ts";
export type { GeluApproximation } from "./activation-smooth.ts";
export { logSoftmax, softmax, softmin } from "./activation-softmax.ts";
export { add, div, maximum, minimum, mul, pow, remainder, sub } from "./arithmetic.ts";
export type { Operand } from "./arithmetic.ts";
export { scaledDotProductAttention } from "./attention.ts";
export type { AttentionOptions } from "./attention.ts";
export {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
} from "./avg-pool.ts";
export type { AvgPoolOptions, OutputSize } from "./avg-pool.ts";
export { batchNorm } from "./batch-norm.ts";
export type { BatchNormOptions } from "./batch-norm.ts";
export { cat, stack } from "./cat.ts";
export { clamp, clampMax, clampMin } from "./clamp.ts";
export { equal, greater, greaterEqual, less, lessEqual, notEqual } from "./compare.ts";
export { convTranspose1d, convTranspose2d, convTranspose3d } from "./conv-transpose.ts";
export type { ConvTransposeOptions } from "./conv-transpose.ts";
export { conv1d, conv2d, conv3d } from "./conv.ts";
export type { ConvOptions } from "./conv.ts";
export { cumprod, cumsum } from "./cumulative.ts";
export { alphaDropout, dropout, dropout1d, dropout2d, dropout3d } from "./dropout.ts";
export type { DropoutOptions } from "./dropout.ts";
export { embeddingBag } from "./embedding-bag.ts";
export type { BagMode, EmbeddingBagOptions } from "./embedding-bag.ts";
export { embedding } from "./embedding.ts";
export { gather, indexSelect, scatter, scatterAdd, take } from "./gather.ts";
export { instanceNorm } from "./instance-norm.ts";
export type { InterpolateMode } from "./interpolate-taps.ts";
export { interpolate } from "./interpolate.ts";
export type { InterpolateOptions } from "./interpolate.ts";
export { bilinear, linear } from "./linear.ts";
export { localResponseNorm } from "./local-response-norm.ts";
export { bitwiseAnd, bitwiseOr, bitwiseXor, isfinite, isinf, isnan } from "./logical.ts";
export { logicalAnd, logicalNot, logicalOr, logicalXor } from "./logical.ts";
export { crossEntropy, nllLoss } from "./loss-classes.ts";
export type { ClassLossOptions, CrossEntropyOptions } from "./loss-classes.ts";
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from "./loss.ts";
export type { KlDivOptions, LogitsLossOptions, LossOptions, Reduction, WeightedLossOptions } from "./loss.ts";
export { bmm, matmul, mm } from "./matmul.ts";
export {
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from "./max-pool.ts";
export {
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3dWithIndices,
} from "./max-pool.ts";
export { maxPool1dWithIndices, maxPool2dWithIndices, maxPool3dWithIndices } from "./max-pool.ts";
export type { MaxPoolOptions } from "./max-pool.ts";
export { groupNorm, layerNorm, rmsNorm } from "./norm.ts";
export type { NormOptions } from "./norm.ts";
export { allOps, defineOp, findOp, hasOp } from "./op.ts";
export type { AttrValue, Attrs, BackwardContext, Op, OpInput } from "./op.ts";
export { pad } from "./pad.ts";
export type { PadMode, PadOptions } from "./pad.ts";
export { channelShuffle, pixelShuffle, pixelUnshuffle } from "./pixel-shuffle.ts";
export { fakeQuantizePerChannelAffine, fakeQuantizePerTensorAffine } from "./quantize/fake-quantize.ts";
export { fusedMovingAvgObsFakeQuant } from "./quantize/fused.ts";
export { fakeQuantizeLearnablePerChannelAffine, fakeQuantizeLearnablePerTensorAffine } from "./quantize/learnable.ts";
export {
  dequantize,
  intRepr,
  quantizePerChannel,
  quantizePerTensor,
  quantizePerTensorDynamic,
} from "./quantize/native.ts";
export { amax, amin, argmax, argmin, max, min } from "./reduce-extremes.ts";
export type { ValuesAndIndices } from "./reduce-extremes.ts";
export { all, any } from "./reduce-logical.ts";
export { logsumexp, norm, prod, std, variance } from "./reduce-moments.ts";
export type { VarianceOptions } from "./reduce-moments.ts";
export { mean, sum } from "./reduce.ts";
export type { Dims, ReduceOptions } from "./reduce.ts";
export { repeat, repeatInterleave, roll, tile } from "./repeat.ts";
export { expand, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze } from "./shape.ts";
export { chunk, flip, narrow, select, slice, split, unbind } from "./slicing.ts";
export { argsort, maskedSelect, nonzero, sort, topk } from "./sort.ts";
export type { SortOptions } from "./sort.ts";
export { oneHot, tril, triu } from "./triangle.ts";
export { acos, acosh, asin, asinh, atan, atanh, cosh, sinh, tan } from "./trigonometric.ts";
export { abs, cast, ceil, cos, erf, exp, expm1, floor, log, log1p, log2, neg } from "./unary.ts";
export { reciprocal, round, rsqrt, sign, sin, sqrt, tanh, trunc } from "./unary.ts";
export { maskedFill, where } from "./where.ts";
