/**
 * A histogram of values that come batch by batch, with the range that integers can express over it.
 *
 * Bins are multiples of a power of two. When a batch does not fit, the width doubles and neighbours are joined, so that
 * counts stay exact, nothing is kept of the values, and the order of batches does not matter.
 */

export interface ValueHistogram {
  /** Ends of the bins; multiples of the bin's width, a power of two. */
  readonly min: number;
  readonly max: number;
  /** Values in each of the equal bins of min..max. */
  readonly counts: readonly number[];
  /** What the integers can express; null for float values. */
  readonly range: { readonly min: number; readonly max: number } | null;
}

const MAX_BINS = 128;
/** Bits of a float32's fraction: values that differ are in different bins of a width this much smaller. */
const FRACTION_BITS = 23;
const SMALLEST_EXPONENT = -149;

function exponentOf(value: number): number {
  return value === 0 ? SMALLEST_EXPONENT : Math.max(Math.floor(Math.log2(Math.abs(value))), SMALLEST_EXPONENT);
}

function binCount(min: number, max: number, exponent: number): number {
  const width = 2 ** exponent;
  return Math.floor(max / width) - Math.floor(min / width) + 1;
}

/** The smallest exponent at which a range has few enough bins. */
function fittingExponent(min: number, max: number): number {
  let exponent = exponentOf(Math.max(Math.abs(min), Math.abs(max))) - FRACTION_BITS;
  while (binCount(min, max, exponent) > MAX_BINS) exponent++;
  return exponent;
}

export class StreamingHistogram {
  private counts = new Map<number, number>();
  private exponent = -Infinity;
  private min = Infinity;
  private max = -Infinity;

  /** Counts values; those that are not finite are left out. */
  add(values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (!Number.isFinite(value)) continue;
      if (value < this.min) this.min = value;
      if (value > this.max) this.max = value;
    }
    if (this.min > this.max) return;
    this.widen(fittingExponent(this.min, this.max));
    const width = 2 ** this.exponent;
    const first = Math.floor(this.min / width);
    const bins = new Float64Array(binCount(this.min, this.max, this.exponent));
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (Number.isFinite(value)) bins[Math.floor(value / width) - first]!++;
    }
    bins.forEach((count, i) => {
      if (count > 0) this.counts.set(first + i, (this.counts.get(first + i) ?? 0) + count);
    });
  }

  private widen(exponent: number): void {
    if (exponent <= this.exponent) return;
    const factor = 2 ** (exponent - this.exponent);
    const joined = new Map<number, number>();
    for (const [bin, count] of this.counts) {
      const at = Math.floor(bin / factor);
      joined.set(at, (joined.get(at) ?? 0) + count);
    }
    this.counts = joined;
    this.exponent = exponent;
  }

  result(range: ValueHistogram["range"]): ValueHistogram {
    if (this.min > this.max) return { min: 0, max: 0, counts: [], range };
    const width = 2 ** this.exponent;
    const first = Math.floor(this.min / width);
    const bins = binCount(this.min, this.max, this.exponent);
    const counts = Array.from({ length: bins }, (_, i) => this.counts.get(first + i) ?? 0);
    return { min: first * width, max: (first + bins) * width, counts, range };
  }
}
