/** Float functions of two operands. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Binary = [{ name: "f32_binary", isa: "simd128" }] as const satisfies readonly Kernel[];
