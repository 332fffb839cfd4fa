/** Float functions of one operand. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Unary = [
  { name: "f32_exponential", isa: "simd128" },
  { name: "f32_unary", isa: "simd128" },
] as const satisfies readonly Kernel[];
