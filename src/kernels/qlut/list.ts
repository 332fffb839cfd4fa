/** Functions of one byte by table: activations, requantization, concatenation with requantization. */

export interface LutKernel {
  readonly name: string;
  readonly isa: "simd128";
}

export const qlut = [{ name: "qlut_rows", isa: "simd128" }] as const satisfies readonly LutKernel[];
