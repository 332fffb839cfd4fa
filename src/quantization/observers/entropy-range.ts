/**
 * The range around zero with the least Kullback-Leibler divergence between a histogram, clipped to it, and the same in
 * 128 levels. Source: Migacz, "8-bit inference with TensorRT", 2017; for ranges that are not symmetric both ends move at
 * once until one is reached.
 *
 * `divergence` defines what is least. It reads every bin of a range; `Estimate` gives the same up to rounding from sums
 * over bins, a few for each level, and tells which ranges need not be looked at.
 */

/** Both ends of the range of a histogram over min..max. */
export type HistogramRange = readonly [low: number, high: number];

/** Levels that the searched range is compared in; more than 8-bit integers tell little about the shape. */
const LEVELS = 128;
/** Every which range is tried; the histogram has some thousand bins, and the minimum is flat. */
const STRIDE = 4;
/** Far above what rounding does to an estimate, far below what tells ranges apart. */
const ESTIMATE_ERROR = 1e-9;

/** Bins from..to of a histogram, and the values beyond either end. */
interface Clipped {
  readonly from: number;
  readonly to: number;
  readonly below: number;
  readonly above: number;
}

const levelsOf = ({ from, to }: Clipped): number => Math.min(LEVELS, to - from);

/** First bin of a level; that of the level behind the last is the range's end. */
const levelStart = ({ from, to }: Clipped, level: number, levels: number): number =>
  from + Math.floor((level * (to - from)) / levels);

/** Sum of p log(p / q) over the range's bins, p with the outliers at its ends, q spread over its level's full bins. */
function divergence(counts: ArrayLike<number>, range: Clipped): number {
  const { from, to, below, above } = range;
  const levels = levelsOf(range);
  let [sum, inside] = [0, 0];
  const p = (i: number): number => counts[i]! + (i === from ? below : 0) + (i === to - 1 ? above : 0);
  for (let i = from; i < to; i++) inside += counts[i]!;
  const total = inside + below + above;
  if (inside === 0) return Infinity;
  for (let level = 0; level < levels; level++) {
    const start = levelStart(range, level, levels);
    const end = levelStart(range, level + 1, levels);
    let [mass, full] = [0, 0];
    for (let i = start; i < end; i++) {
      mass += counts[i]!;
      if (p(i) > 0) full++;
    }
    for (let i = start; i < end; i++) {
      const real = p(i) / total;
      if (real === 0) continue;
      if (mass === 0) return Infinity;
      sum += real * Math.log(real / (mass / full / inside));
    }
  }
  return sum;
}

const entropyOf = (count: number): number => (count > 0 ? count * Math.log(count) : 0);

/**
 * Divergences from sums over the bins before each bin. With c the counts of a level, C their sum, n its full bins and
 * N, T the numbers of values inside and in all:
 *
 *     sum of c / T log(c / T / (C / n / N)) = (sum of c log c - C log(T C / (n N))) / T
 */
class Estimate {
  private readonly counts: Float64Array;
  private readonly mass: Float64Array;
  private readonly entropy: Float64Array;
  private readonly full: Int32Array;

  constructor(counts: Float64Array) {
    const bins = counts.length;
    this.counts = counts;
    this.mass = new Float64Array(bins + 1);
    this.entropy = new Float64Array(bins + 1);
    this.full = new Int32Array(bins + 1);
    for (let i = 0; i < bins; i++) {
      this.mass[i + 1] = this.mass[i]! + counts[i]!;
      this.entropy[i + 1] = this.entropy[i]! + entropyOf(counts[i]!);
      this.full[i + 1] = this.full[i]! + Number(counts[i]! > 0);
    }
  }

  /** A range with what lies beyond it. */
  clipped(from: number, to: number): Clipped {
    return { from, to, below: this.mass[from]!, above: this.mass.at(-1)! - this.mass[to]! };
  }

  /** The range's divergence; NaN where sums of such different sizes cannot tell. */
  of(range: Clipped): number {
    const { from, to, below, above } = range;
    const levels = levelsOf(range);
    const inside = this.mass[to]! - this.mass[from]!;
    const total = inside + below + above;
    if (this.full[to] === this.full[from]) return Infinity;
    let sum = 0;
    let end = from;
    for (let level = 0; level < levels; level++) {
      const start = end;
      end = levelStart(range, level + 1, levels);
      let full = this.full[end]! - this.full[start]!;
      const mass = this.mass[end]! - this.mass[start]!;
      let entropy = this.entropy[end]! - this.entropy[start]!;
      const outside = (start === from ? below : 0) + (end === to ? above : 0);
      if (outside > 0) {
        if (full === 0) return Infinity;
        for (const [bin, more] of this.ends(range, start, end)) {
          entropy += entropyOf(this.counts[bin]! + more) - entropyOf(this.counts[bin]!);
          if (this.counts[bin] === 0 && more > 0) full++;
        }
      }
      if (full === 0) continue;
      sum += entropy - (mass + outside) * Math.log((total * mass) / (full * inside));
    }
    return sum / total;
  }

  /** Bins of a level that outliers are counted in, and how many. */
  private ends(
    { from, to, below, above }: Clipped,
    start: number,
    end: number,
  ): readonly (readonly [bin: number, more: number])[] {
    if (to - from === 1) return [[from, below + above]];
    const ends: [number, number][] = [];
    if (start === from) ends.push([from, below]);
    if (end === to) ends.push([to - 1, above]);
    return ends;
  }
}

/**
 * Zeros are exact in every range; behind a relu they are half of all values and would make the narrowest range the best:
 * their bin counts no more than its neighbours.
 */
export function entropyRange(histogram: ArrayLike<number>, min: number, max: number): HistogramRange {
  const bins = histogram.length;
  const width = (max - min) / bins;
  if (!(width > 0)) return [min, max];
  const zero = Math.min(Math.max(Math.floor(-min / width), 0), bins - 1);
  const counts = Float64Array.from(histogram);
  counts[zero] = Math.min(counts[zero]!, Math.max(counts[zero - 1] ?? 0, counts[zero + 1] ?? 0));
  const estimate = new Estimate(counts);
  const ranges: Clipped[] = [];
  const widest = Math.max(zero, bins - zero);
  for (let half = Math.min(LEVELS, widest); half <= widest; half += STRIDE) {
    const reach = half + STRIDE > widest ? widest : half;
    ranges.push(estimate.clipped(Math.max(zero - reach, 0), Math.min(zero + reach, bins)));
  }
  const estimates = ranges.map((range) => estimate.of(range));
  const promising = estimates.reduce((least, one) => (one < least ? one : least), Infinity) + ESTIMATE_ERROR;
  let best: HistogramRange = [min, max];
  let least = Infinity;
  ranges.forEach((range, i) => {
    if (estimates[i]! > promising) return;
    const error = divergence(counts, range);
    if (error >= least) return;
    least = error;
    best = [min + range.from * width, min + range.to * width];
  });
  return best;
}
