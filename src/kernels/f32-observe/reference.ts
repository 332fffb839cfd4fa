/** The specification of f32-observe. */

const { fround } = Math;

/** Smallest and largest value; NaN when any value is; Infinity and -Infinity of nothing. */
export function minMaxReference(x: Float32Array): [number, number] {
  if (x.some(Number.isNaN)) return [NaN, NaN];
  return [x.reduce((a, b) => Math.min(a, b), Infinity), x.reduce((a, b) => Math.max(a, b), -Infinity)];
}

/** Counts by bin int(f32(f32(f32(v - lo) * bins) / f32(hi - lo))), hi in the last bin, others left out. */
export function histogramReference(x: Float32Array, lo: number, hi: number, bins: number): Uint32Array {
  const counts = new Uint32Array(bins);
  for (const v of x) {
    if (!(v >= lo && v <= hi)) continue;
    const at = Math.trunc(fround(fround(fround(v - lo) * bins) / fround(hi - lo)));
    counts[Math.min(at, bins - 1)]!++;
  }
  return counts;
}
