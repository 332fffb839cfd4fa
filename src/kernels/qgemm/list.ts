/**
 * The integer matrix-product kernels: what each needs of the machine, how its weights are packed, and
 * how many rows it takes at once. Convolutions, linear layers and transposed convolutions all run
 * through these; only their tables differ.
 */

/** How products are formed: see variant.ts for when each is exact. */
export type Variant = "relaxed_dot" | "relaxed_i16" | "guarded_i16" | "simd128";

export interface QgemmKernel {
  readonly name: string;
  readonly isa: "simd128" | "relaxed";
  readonly variant: Variant;
  /** Output pixels of a tile: 6, or 1 for the matrix-vector form. */
  readonly rows: 1 | 6;
}

export const qgemm = [
  { name: "qgemm_6x8c4__relaxed_dot", isa: "relaxed", variant: "relaxed_dot", rows: 6 },
  { name: "qgemm_6x8c4__relaxed_i16", isa: "relaxed", variant: "relaxed_i16", rows: 6 },
  { name: "qgemm_6x8__guarded_i16", isa: "relaxed", variant: "guarded_i16", rows: 6 },
  { name: "qgemm_6x8c2__simd128", isa: "simd128", variant: "simd128", rows: 6 },
  { name: "qgemv_1x48c4__relaxed_dot", isa: "relaxed", variant: "relaxed_dot", rows: 1 },
  { name: "qgemv_1x48c4__relaxed_i16", isa: "relaxed", variant: "relaxed_i16", rows: 1 },
  { name: "qgemv_1x48__guarded_i16", isa: "relaxed", variant: "guarded_i16", rows: 1 },
  { name: "qgemv_1x48c2__simd128", isa: "simd128", variant: "simd128", rows: 1 },
] as const satisfies readonly QgemmKernel[];

export type QgemmName = (typeof qgemm)[number]["name"];
