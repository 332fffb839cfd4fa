/** What the machine does. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const probe = [{ name: "probe_relaxed_dot", isa: "simd128" }] as const satisfies readonly Kernel[];
