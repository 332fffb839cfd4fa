/**
 * fewbit: tensors, operators and gradients. Layers, optimizers, quantization, graphs and files have subpaths of
 * their own.
 */
import "./ops/methods.ts";

export * from "./autograd/backward.ts";
export * from "./errors.ts";
export * from "./ops/index.ts";
export { enableGrad, isGradEnabled, manualSeed, noGrad } from "./tensor/context.ts";
export * from "./tensor/create.ts";
export { dtypeInfo, dtypes, isDType, isFloat, isQuantized, promote } from "./tensor/dtype.ts";
export type { DType, DTypeInfo, DTypeKind, QuantizedDType, TypedArray } from "./tensor/dtype.ts";
export * from "./tensor/qparams.ts";
export { Generator } from "./tensor/random.ts";
export { Parameter, Tensor } from "./tensor/tensor.ts";
export type { Nested, TensorType } from "./tensor/tensor.ts";
