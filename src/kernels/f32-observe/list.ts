/** Statistics of observers. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Observe = [
  { name: "f32_min_max", isa: "simd128" },
  { name: "f32_histogram", isa: "simd128" },
  { name: "f32_histogram_counts", isa: "simd128" },
] as const satisfies readonly Kernel[];
