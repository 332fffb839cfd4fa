/** Pooling of byte images. */

export interface PoolKernel {
  readonly name: string;
  readonly isa: "simd128";
}

export const qpool = [
  { name: "qpool_max", isa: "simd128" },
  { name: "qpool_average", isa: "simd128" },
] as const satisfies readonly PoolKernel[];
