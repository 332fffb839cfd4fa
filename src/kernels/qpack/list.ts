/** Packing of integer weights; what the results are is written down in qgemm/pack.ts. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const qpack = [
  { name: "qpack_rows", isa: "simd128" },
  { name: "qpack_facts", isa: "simd128" },
  { name: "qpack_panels", isa: "simd128" },
] as const satisfies readonly Kernel[];
