/**
 * The range of a histogram that quantizes its data with the smallest squared error.
 *
 * Starting from the whole range, the end whose next hundred-thousandth of the data spans more bins is moved inward
 * as long as the error does not grow. The error assumes values spread evenly inside each source bin: with the
 * distance d to the centre of its target bin, density * integral of d^2. Source: HistogramObserver.
 * _non_linear_param_search, torch/ao/quantization/observer.py (after caffe2's norm_minimization.cc).
 */

import { cascadeTotal } from "../cascade-sum.ts";
import type { Histogram } from "./histogram-math.ts";
import type { Range } from "./ranges.ts";

const { fround } = Math;

/** Share of the data one step of the search leaves out. */
const STEP = 1e-5;

/** Above this width cubes could overflow float32, where a count of zero no longer means an error of zero. */
const CUBE_LIMIT = 1e12;

/** floor(a / b) of float32 numbers, exact where the quotient of doubles is not. */
function floorDivide(a: number, b: number): number {
  const quotient = Math.floor(a / b);
  if (quotient * b > a) return quotient - 1;
  return (quotient + 1) * b <= a ? quotient + 1 : quotient;
}

function cube(v: number): number {
  return fround(fround(v * v) * v);
}

/** density * (to^3 - from^3) / 3. */
function norm(density: number, from: number, to: number): number {
  return fround(density * fround(fround(cube(to) - cube(from)) / 3));
}

function clampBin(v: number, targets: number): number {
  return v > 0 ? (v < targets ? v : targets - 1) : 0;
}

/** Squared error of quantizing all data with bins startBin..endBin spread over `targets` levels. */
function quantizationError(histogram: Histogram, startBin: number, endBin: number, targets: number): number {
  const { counts, min, max } = histogram;
  const exactWidth = (max - min) / counts.length;
  const exactTarget = (exactWidth * (endBin - startBin + 1)) / targets;
  if (exactTarget === 0) return 0;
  const [width, target, half] = [fround(exactWidth), fround(exactTarget), fround(exactTarget / 2)];
  const skipsEmpty = max - min < CUBE_LIMIT;
  const cubes = fround(fround(cube(half) - cube(-half)) / 3);
  const errors = new Float32Array(counts.length);
  for (let i = 0; i < counts.length; i++) {
    if (skipsEmpty && counts[i] === 0) continue;
    const begin = fround((i - startBin) * width);
    const end = fround(begin + width);
    const first = clampBin(floorDivide(begin, target), targets);
    const last = clampBin(floorDivide(end, target), targets);
    const density = fround(counts[i]! / width);
    const firstCentre = fround(fround(first + 0.5) * target);
    const lastCentre = fround(fround(last * target) + half);
    const head = norm(density, fround(begin - firstCentre), half);
    const middle = fround(fround(last - first - 1) * fround(density * cubes));
    const tail = norm(density, -half, fround(end - lastCentre));
    errors[i] = fround(head + middle) + tail;
  }
  return cascadeTotal(errors);
}

/** Running sums, added in double and stored as float32; and the total, added in float32. */
function cumulate(counts: Float32Array): { sums: Float32Array; total: number } {
  const sums = new Float32Array(counts.length);
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sums[i] = sum += counts[i]!;
  return { sums, total: cascadeTotal(counts) };
}

/** The range to quantize by. @param targets number of levels, 2^bits of the dtype. */
export function searchHistogram(histogram: Histogram, targets: number): Range {
  const { counts, min, max } = histogram;
  const bins = counts.length;
  const { sums, total } = cumulate(counts);
  let [alpha, beta, startBin, endBin, best] = [0, 1, 0, bins - 1, Infinity];
  while (alpha < beta) {
    const nextAlpha = alpha + STEP;
    const nextBeta = beta - STEP;
    const below = fround(nextAlpha * total);
    const above = fround(nextBeta * total);
    let left = startBin;
    let right = endBin;
    while (left < endBin && sums[left]! < below) left++;
    while (right > startBin && sums[right]! > above) right--;
    let [nextStart, nextEnd] = [startBin, endBin];
    if (left - startBin > endBin - right) {
      nextStart = left;
      alpha = nextAlpha;
    } else {
      nextEnd = right;
      beta = nextBeta;
    }
    if (nextStart === startBin && nextEnd === endBin) continue;
    const error = quantizationError(histogram, nextStart, nextEnd, targets);
    if (error > best) break;
    [best, startBin, endBin] = [error, nextStart, nextEnd];
  }
  const width = fround(fround(max - min) / bins);
  return { min: fround(min + fround(width * startBin)), max: fround(min + fround(width * (endBin + 1))) };
}
