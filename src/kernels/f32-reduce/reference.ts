/** The specification of f32-reduce on [outer, n, inner]: sums in double in the kernel's order, divided and rounded once. */

/** Sums of four interleaved parts, where the axis is the last. */
const PARTS = 4;

export function sumReference(x: Float32Array, n: number, inner: number, divisor: number): Float32Array {
  const outer = x.length / (n * inner);
  return Float32Array.from({ length: outer * inner }, (_, i) => {
    const start = Math.floor(i / inner) * n * inner + (i % inner);
    const parts = new Float64Array(PARTS);
    for (let k = 0; k < n; k++) parts[inner === 1 ? k % PARTS : 0]! += x[start + k * inner]!;
    return (parts[0]! + parts[1]! + (parts[2]! + parts[3]!)) / divisor;
  });
}

/** `pick` is Math.max or Math.min; NaN if any is NaN. */
export function extremeReference(
  x: Float32Array,
  n: number,
  inner: number,
  pick: (a: number, b: number) => number,
): Float32Array {
  const outer = x.length / (n * inner);
  return Float32Array.from({ length: outer * inner }, (_, i) => {
    const start = Math.floor(i / inner) * n * inner + (i % inner);
    let found = x[start]!;
    for (let k = 1; k < n; k++) found = pick(found, x[start + k * inner]!);
    return found;
  });
}
