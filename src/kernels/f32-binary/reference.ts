/** The specification of f32-binary on flat arrays, in the order of kinds.ts: every operation rounds once. */

export const binaryReferences: readonly ((a: number, b: number) => number)[] = [
  (a, b) => a + b,
  (a, b) => a * b,
  (a, b) => a - b,
  (a, b) => a / b,
  Math.max,
  Math.min,
];
