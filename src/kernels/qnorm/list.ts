/** Row-wise operations on bytes through f32. */

export interface NormKernel {
  readonly name: string;
  readonly isa: "simd128";
}

export const qnorm = [
  { name: "qsoftmax_rows", isa: "simd128" },
  { name: "qlayernorm_rows", isa: "simd128" },
] as const satisfies readonly NormKernel[];
