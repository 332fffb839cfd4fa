/** Softmax. The kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Softmax = [{ name: "f32_softmax", isa: "simd128" }] as const satisfies readonly Kernel[];
