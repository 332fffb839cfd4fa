/** Softmax and smooth activations. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Softmax = [
  { name: "f32_softmax", isa: "simd128" },
  { name: "f32_activation", isa: "simd128" },
] as const satisfies readonly Kernel[];
