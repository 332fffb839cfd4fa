/** Sums behind normalizations. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Norm = [
  { name: "f32_channel_moments", isa: "simd128" },
  { name: "f32_channel_products", isa: "simd128" },
  { name: "f32_batch_norm_grad", isa: "simd128" },
  { name: "f32_layer_norm", isa: "simd128" },
] as const satisfies readonly Kernel[];
