/** Quantize, dequantize and fake-quantize operators, and the numeric contract under them. */

export * from "./affine.ts";
export * from "./choose.ts";
export * from "./decomposed.ts";
export * from "./dynamic-pair.ts";
export * from "./fake-quantize.ts";
export * from "./float8.ts";
export * from "./fused.ts";
export * from "./groups.ts";
export * from "./histogram-math.ts";
export * from "./histogram-search.ts";
export * from "./histogram.ts";
export * from "./learnable.ts";
export * from "./native.ts";
export * from "./numerics.ts";
export * from "./observe.ts";
export * from "./ranges.ts";
export * from "./reinterpret.ts";
