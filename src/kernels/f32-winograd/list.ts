/** Winograd F(4x4, 3x3), forward and weight gradient. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Winograd = [
  { name: "f32_winograd_weights", isa: "simd128" },
  { name: "f32_winograd_conv", isa: "simd128" },
  { name: "f32_winograd_weight_sums", isa: "simd128" },
  { name: "f32_winograd_weight_grad", isa: "simd128" },
] as const satisfies readonly Kernel[];
