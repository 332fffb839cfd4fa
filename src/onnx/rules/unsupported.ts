/**
 * Standard operators that import keeps but does not understand, and why.
 */

import { unsupported } from "../call.ts";
import type { OnnxRules } from "../call.ts";

const random = unsupported("gives random numbers, which no two programs share");
const sequence = unsupported("works on sequences of tensors, which graphs here do not have");
const optional = unsupported("works on optional values, which graphs here do not have");
const text = unsupported("works on strings, which tensors here do not hold");
const signal = unsupported("signal processing is outside of what is quantized here");
const training = unsupported("is a step of training inside the file; use the optimizers of fewbit/optim");
const sampling = unsupported("no operator for this kind of sampling");
const rare = unsupported("no operator for it");

export const unsupportedRules: OnnxRules = {
  Adagrad: training,
  Adam: training,
  AffineGrid: sampling,
  ArrayFeatureExtractor: rare,
  Bernoulli: random,
  BlackmanWindow: signal,
  CausalConvWithState: rare,
  ConcatFromSequence: sequence,
  DFT: signal,
  DeformConv: sampling,
  Det: rare,
  FlexAttention: rare,
  GlobalLpPool: rare,
  Gradient: training,
  GridSample: sampling,
  HammingWindow: signal,
  HannWindow: signal,
  ImageDecoder: unsupported("decodes image files"),
  LinearAttention: rare,
  MaxRoiPool: sampling,
  MelWeightMatrix: signal,
  Momentum: training,
  Multinomial: random,
  Optional: optional,
  OptionalGetElement: optional,
  OptionalHasElement: optional,
  RandomNormal: random,
  RandomNormalLike: random,
  RandomUniform: random,
  RandomUniformLike: random,
  RegexFullMatch: text,
  STFT: signal,
  SequenceAt: sequence,
  SequenceConstruct: sequence,
  SequenceEmpty: sequence,
  SequenceErase: sequence,
  SequenceInsert: sequence,
  SequenceLength: sequence,
  SequenceMap: sequence,
  SplitToSequence: sequence,
  StringConcat: text,
  StringNormalizer: text,
  StringSplit: text,
  SwiGLU: rare,
  TfIdfVectorizer: text,
};
