/** Optimizers' updates. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Optimizer = [
  { name: "f32_sgd_step", isa: "simd128" },
  { name: "f32_adam_step", isa: "simd128" },
] as const satisfies readonly Kernel[];
