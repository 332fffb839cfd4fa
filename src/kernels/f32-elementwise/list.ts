/** Elementwise operators. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Elementwise = [
  { name: "f32_clamp", isa: "simd128" },
  { name: "f32_clamp_grad", isa: "simd128" },
  { name: "f32_clamp_grad_sum", isa: "simd128" },
  { name: "f32_channel_affine", isa: "simd128" },
  { name: "f32_channel_affine_add", isa: "simd128" },
] as const satisfies readonly Kernel[];
