/** Operators under their names in torch.nn.functional. */

export {
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  prelu,
  relu,
  relu6,
  threshold,
} from "../ops/activation-linear.ts";
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
} from "../ops/activation-smooth.ts";
export { logSoftmax, softmax, softmin } from "../ops/activation-softmax.ts";
export { scaledDotProductAttention } from "../ops/attention.ts";
export {
  adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d, avgPool1d, avgPool2d, avgPool3d,
} from "../ops/avg-pool.ts"; // prettier-ignore
export { batchNorm } from "../ops/batch-norm.ts";
export { conv1d, conv2d, conv3d } from "../ops/conv.ts";
export { convTranspose1d, convTranspose2d, convTranspose3d } from "../ops/conv-transpose.ts";
export { alphaDropout, dropout, dropout1d, dropout2d, dropout3d } from "../ops/dropout.ts";
export { embedding } from "../ops/embedding.ts";
export { embeddingBag } from "../ops/embedding-bag.ts";
export { instanceNorm } from "../ops/instance-norm.ts";
export { interpolate } from "../ops/interpolate.ts";
export { bilinear, linear } from "../ops/linear.ts";
export { localResponseNorm } from "../ops/local-response-norm.ts";
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from "../ops/loss.ts";
export { crossEntropy, nllLoss } from "../ops/loss-classes.ts";
export {
  adaptiveMaxPool1d, adaptiveMaxPool1dWithIndices, adaptiveMaxPool2d, adaptiveMaxPool2dWithIndices, adaptiveMaxPool3d,
  adaptiveMaxPool3dWithIndices, maxPool1d, maxPool1dWithIndices, maxPool2d, maxPool2dWithIndices, maxPool3d,
  maxPool3dWithIndices,
} from "../ops/max-pool.ts"; // prettier-ignore
export { groupNorm, layerNorm, rmsNorm } from "../ops/norm.ts";
export { pad } from "../ops/pad.ts";
export { channelShuffle, pixelShuffle, pixelUnshuffle } from "../ops/pixel-shuffle.ts";
export { oneHot } from "../ops/triangle.ts";
export { tanh } from "../ops/unary.ts";
