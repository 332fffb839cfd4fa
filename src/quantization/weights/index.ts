/** Quantizing weights (and activations as they come) by module: torchao's `quantize_` and its configs. */
export { dequantizeWeight, quantizeToAffine } from "./affine-weight.ts";
export type { AffineSettings, AffineWeight, IntxDType } from "./affine-weight.ts";
export * from "./configs.ts";
export * from "./fake-quantizer.ts";
export * from "./granularity.ts";
export { AffineQuantizedLinear } from "./linear.ts";
export type { Activation } from "./linear.ts";
export * from "./qat.ts";
export { FqnToConfig, quantizeModel, registerQuantizeModuleHandler } from "./quantize-model.ts";
export type { FilterFn, ModuleHandler } from "./quantize-model.ts";
export { PermuteSandwich, swapConv2d1x1ToLinear } from "./swap-conv.ts";
export { computeError } from "../suite/metrics.ts";
export type { MappingType } from "../../ops/quantize/numerics.ts";
