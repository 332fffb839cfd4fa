/** Operations on pairs of byte tensors, and on bytes as integers. */

export interface ElementwiseKernel {
  readonly name: string;
  readonly isa: "simd128";
}

export const qelementwise = [
  { name: "qadd_rows", isa: "simd128" },
  { name: "qmul_rows", isa: "simd128" },
  { name: "qclamp_rows", isa: "simd128" },
  { name: "qflip_rows", isa: "simd128" },
] as const satisfies readonly ElementwiseKernel[];
