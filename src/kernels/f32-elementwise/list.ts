/** Elementwise operators and the optimizer's update. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Elementwise = [
  { name: "f32_add", isa: "simd128" },
  { name: "f32_mul", isa: "simd128" },
  { name: "f32_clamp", isa: "simd128" },
  { name: "f32_clamp_grad", isa: "simd128" },
  { name: "f32_channel_affine", isa: "simd128" },
  { name: "f32_sgd_step", isa: "simd128" },
] as const satisfies readonly Kernel[];
