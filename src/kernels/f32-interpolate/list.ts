/** Resizing along one axis. The kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Interpolate = [{ name: "f32_taps", isa: "simd128" }] as const satisfies readonly Kernel[];
