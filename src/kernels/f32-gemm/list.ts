/** Dense products: also convolutions, through offset tables. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32Gemm = [
  { name: "f32_gemm_6x8", isa: "simd128" },
  { name: "f32_gemv_1x48", isa: "simd128" },
  { name: "f32_pack", isa: "simd128" },
] as const satisfies readonly Kernel[];
