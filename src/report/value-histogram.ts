/** A histogram of values, with the range that integers can express over it. */

export interface ValueHistogram {
  readonly min: number;
  readonly max: number;
  /** Values in each of equal bins of min..max. */
  readonly counts: readonly number[];
  /** What the integers can express; null for float values. */
  readonly range: { readonly min: number; readonly max: number } | null;
}

const BINS = 64;

/** Counts of finite values in 64 equal bins. */
export function histogramOf(values: ArrayLike<number>, range: ValueHistogram["range"]): ValueHistogram {
  let [min, max] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  const counts = new Array<number>(BINS).fill(0);
  if (min > max) return { min: 0, max: 0, counts, range };
  const width = (max - min) / BINS || 1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isFinite(value)) counts[Math.min(BINS - 1, Math.floor((value - min) / width))]!++;
  }
  return { min, max, counts, range };
}
