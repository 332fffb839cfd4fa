/** Products of f32 activations with 8-bit or 4-bit weights that stay packed in memory. */

export interface WeightOnlyKernel {
  readonly name: string;
  readonly isa: "simd128";
  readonly bits: 4 | 8;
  /** Rows of activations taken at once. */
  readonly rows: 1 | 4;
}

export const wonly = [
  { name: "wonly_s8_4x8", isa: "simd128", bits: 8, rows: 4 },
  { name: "wonly_u4_4x8", isa: "simd128", bits: 4, rows: 4 },
  { name: "wonly_s8_1x32", isa: "simd128", bits: 8, rows: 1 },
  { name: "wonly_u4_1x32", isa: "simd128", bits: 4, rows: 1 },
] as const satisfies readonly WeightOnlyKernel[];
