/** Quantizing weights (and activations as they come) by module: torchao's `quantize_` and its configs. */
export { dequantizeWeight, quantizeToAffine } from "./affine-weight.ts";
export type { AffineSettings, AffineWeight, IntxDType } from "./affine-weight.ts";
export * from "./configs.ts";
export * from "./fake-quantizer.ts";
export * from "./float8-configs.ts";
export { Float8Linear } from "./float8-linear.ts";
export type { Float8Activation } from "./float8-linear.ts";
export * from "./granularity.ts";
export { AffineQuantizedLinear } from "./linear.ts";
export type { Activation } from "./linear.ts";
export * from "./qat.ts";
export { FqnToConfig, quantizeModel, registerQuantizeModuleHandler } from "./quantize-model.ts";
export type { FilterFn, ModuleHandler } from "./quantize-model.ts";
export { PermuteSandwich, swapConv2d1x1ToLinear } from "./swap-conv.ts";
export { computeError } from "../suite/metrics.ts";
export type { MappingType } from "../../ops/quantize/numerics.ts";
export { chooseQParamsAffine, dequantizeAffine, quantizeAffine } from "../../ops/quantize/affine.ts";
export type { Float8DType } from "../../ops/quantize/float8.ts";
