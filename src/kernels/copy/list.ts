/** Copying pieces of memory. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const copy = [{ name: "copy_pieces", isa: "simd128" }] as const satisfies readonly Kernel[];
