/** Pools and their gradients. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Pool = [
  { name: "f32_max_pool", isa: "simd128" },
  { name: "f32_max_pool_grad", isa: "simd128" },
  { name: "f32_avg_pool", isa: "simd128" },
  { name: "f32_avg_pool_grad", isa: "simd128" },
] as const satisfies readonly Kernel[];
