/** Sums, largest and smallest values along an axis. The kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Reduce = [{ name: "f32_reduce", isa: "simd128" }] as const satisfies readonly Kernel[];
