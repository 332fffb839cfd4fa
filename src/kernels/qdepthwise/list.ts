/**
 * Depthwise convolution kernels: one for any taps and stride in each multiplication (see the matrix
 * product's variant.ts), and sliding ones for 3x3 with stride 1, which read every pixel once a row pair, and with
 * stride 2, which read it once a row.
 */

import type { Variant } from "../qgemm/list.ts";

export interface DepthwiseKernel {
  readonly name: string;
  readonly isa: "simd128" | "relaxed";
  readonly variant: Variant;
  /** `taps`: any kernel, stride and dilation, by offset tables; `rows`: 3x3, stride 1 and at least two rows, or stride 2. */
  readonly form: "taps" | "rows";
}

export const qdepthwise = [
  { name: "qdepthwise_1x16c4__relaxed_dot", isa: "relaxed", variant: "relaxed_dot", form: "taps" },
  { name: "qdepthwise_1x16c4__relaxed_i16", isa: "relaxed", variant: "relaxed_i16", form: "taps" },
  { name: "qdepthwise_1x16c2__simd128", isa: "simd128", variant: "simd128", form: "taps" },
  { name: "qdepthwise_3x3_2x8__relaxed_dot", isa: "relaxed", variant: "relaxed_dot", form: "rows" },
  { name: "qdepthwise_3x3_2x8__relaxed_i16", isa: "relaxed", variant: "relaxed_i16", form: "rows" },
  { name: "qdepthwise_3x3_2x8__simd128", isa: "simd128", variant: "simd128", form: "rows" },
  { name: "qdepthwise_3x3s2_1x8__relaxed_dot", isa: "relaxed", variant: "relaxed_dot", form: "rows" },
] as const satisfies readonly DepthwiseKernel[];

export type DepthwiseName = (typeof qdepthwise)[number]["name"];
export type RowsName = Extract<(typeof qdepthwise)[number], { readonly form: "rows" }>["name"];
