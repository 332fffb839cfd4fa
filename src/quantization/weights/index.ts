/** Quantizing weights (and activations as they come) by module: torchao's `quantize_` and its configs. */
export { dequantizeWeight, quantizeToAffine } from "./affine-weight.ts";
export type { AffineSettings, AffineWeight, IntxDType } from "./affine-weight.ts";
export * from "./configs.ts";
export * from "./granularity.ts";
export { AffineQuantizedLinear } from "./linear.ts";
export type { Activation } from "./linear.ts";
export * from "./quantize-model.ts";
