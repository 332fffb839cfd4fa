/** A row of a family's list: an exported function and what it needs of the machine. */
export interface Kernel {
  readonly name: string;
  /** `relaxed`: only in the relaxed build. */
  readonly isa: "simd128" | "relaxed";
}
