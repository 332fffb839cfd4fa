/** Setting memory. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const fill = [
  { name: "fill_bytes", isa: "simd128" },
  { name: "fill_f32", isa: "simd128" },
] as const satisfies readonly Kernel[];
