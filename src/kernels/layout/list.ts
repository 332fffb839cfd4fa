/** Moving images between layouts, and offset tables. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const layout = [
  { name: "layout_transpose32", isa: "simd128" },
  { name: "layout_planes_to_pixels", isa: "simd128" },
  { name: "layout_pixels_to_planes", isa: "simd128" },
  { name: "layout_planes_to_pixels8", isa: "simd128" },
  { name: "layout_pixels_to_planes8", isa: "simd128" },
  { name: "layout_grid", isa: "simd128" },
] as const satisfies readonly Kernel[];
