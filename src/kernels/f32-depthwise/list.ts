/** Depthwise convolution and its weight gradient. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Depthwise = [
  { name: "f32_depthwise_4x8", isa: "simd128" },
  { name: "f32_depthwise_3x3_rows", isa: "simd128" },
  { name: "f32_depthwise_weight", isa: "simd128" },
] as const satisfies readonly Kernel[];
