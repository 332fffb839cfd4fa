/**
 * The array forms of the rules in numerics.ts: one loop a rule, over a run of elements that share their
 * parameters. Everything that does not change inside a run is hoisted; rounding is ROUND_BIAS's. Tests compare
 * each loop with the scalar rule it unrolls.
 */

import type { TypedArray } from "../../tensor/dtype.ts";
import { axisView } from "../loops.ts";
import { numel } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { ROUND_BIAS, clampNanLow, inverseScale } from "./numerics.ts";

const { fround } = Math;

/** A local copy: some module loaders look an imported name up at every use. */
const BIAS = ROUND_BIAS;

/** Below this magnitude integers, and the differences of two, are exact in double. */
const EXACT = 2 ** 40;

/**
 * An integer clamped to low..high without branches: (|v - low| - |v - high| + low + high) / 2. Where the range is
 * left often, the branches of an ordinary clamp are mispredicted, at three times the time of the whole loop.
 * `v` must be below EXACT in magnitude.
 */
export function clampExact(v: number, low: number, high: number): number {
  return (Math.abs(v - low) - Math.abs(v - high) + (low + high)) * 0.5;
}

/** Whether `clampExact` may be used: false for NaN. */
export function isExact(v: number): boolean {
  return v > -EXACT && v < EXACT;
}

const scratch = new Float64Array(1);

/**
 * The same number, known to the compiler as a double. Parameters that happen to be integers can otherwise make
 * parts of a loop integer arithmetic, with conversions in every step: three times the time.
 */
function double(v: number): number {
  scratch[0] = v;
  return scratch[0];
}

/** A run of elements [start, end) with common parameters, and where the integers go. */
export interface Run {
  readonly start: number;
  readonly end: number;
  readonly inverse: number;
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
}

/** `quantizeAddThenRound` clamped to low..high; NaN becomes `nan`. */
export function addThenRoundRun(x: TypedArray, out: TypedArray, run: Run, nan: number): void {
  const { start, end, inverse, zeroPoint, low, high } = run;
  for (let i = start; i < end; i++) {
    const q = fround(x[i]! * inverse + zeroPoint) + BIAS - BIAS;
    out[i] = isExact(q) ? clampExact(q, low, high) : q > high ? high : q < low ? low : nan;
  }
}

/** `quantizeAddThenRoundTwice` clamped to low..high; NaN becomes `nan`. */
export function addThenRoundTwiceRun(x: TypedArray, out: TypedArray, run: Run, nan: number): void {
  const { start, end, inverse, zeroPoint, low, high } = run;
  for (let i = start; i < end; i++) {
    const q = fround(fround(x[i]! * inverse) + zeroPoint) + BIAS - BIAS;
    out[i] = isExact(q) ? clampExact(q, low, high) : q > high ? high : q < low ? low : nan;
  }
}

/** The same for float zero points, whose integers PyTorch cuts to 32 bits before clamping: infinities become 0. */
export function addThenRoundRunFloatZero(x: TypedArray, out: TypedArray, run: Run): void {
  const { start, end, inverse, zeroPoint, low, high } = run;
  for (let i = start; i < end; i++) {
    const q = fround(x[i]! * inverse + zeroPoint) + BIAS - BIAS;
    out[i] = clampExact(q | 0, low, high);
  }
}

/** `quantizeRoundThenAdd` clamped to low..high; NaN becomes `low`. */
export function roundThenAddRun(x: TypedArray, out: TypedArray, run: Run): void {
  const { start, end, inverse, zeroPoint, low, high } = run;
  for (let i = start; i < end; i++) {
    const q = fround(fround(x[i]! * inverse) + BIAS - BIAS + zeroPoint);
    out[i] = isExact(q) ? clampExact(q, low, high) : q > high ? high : low;
  }
}

/** `dequantizeValue`; the scale must be a float32 (or, for float64 scales, is used as it is). */
export function dequantizeRun(
  q: TypedArray,
  out: TypedArray,
  start: number,
  end: number,
  scale: number,
  zeroPoint: number,
): void {
  for (let i = start; i < end; i++) out[i] = fround(q[i]! - zeroPoint) * scale;
}

/** Integers at or above this do not fit 64 bits; the conversion answers the smallest one. */
const INT64_LIMIT = 2 ** 63;

/** 1 inside the range, else 0, without a branch to mispredict. PyTorch multiplies the gradient by it as well. */
function isWithin(q: number, low: number, high: number): number {
  return Number(q >= low) & Number(q <= high);
}

/** One run of elements with common parameters. */
export interface FakeRun {
  readonly start: number;
  readonly end: number;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly quantMin: number;
  readonly quantMax: number;
  /** Integers that overflow 64 bits: clamped to the upper end (per tensor) or taken as the lowest (per channel). */
  readonly overflowsHigh: boolean;
}

/** y[i] for a run; float32 in and out. */
export function fakeQuantizeRun(x: TypedArray, y: TypedArray, run: FakeRun): void {
  if (!fakeExactRun(x, y, run)) fakeSpecialRun(x, y, run);
}

/**
 * The hot loop, free of branches: `clampExact`, written out, since what its other callers pass must not slow this
 * one. It is right when every integer is exact, which it finds out by adding up their magnitudes; returns whether it
 * was. NaN and infinities make the sum fail the comparison.
 */
function fakeExactRun(x: TypedArray, y: TypedArray, run: FakeRun): boolean {
  const { start, end } = run;
  const zeroPoint = double(run.zeroPoint);
  const low = double(run.quantMin);
  const high = double(run.quantMax);
  const ends = low + high;
  const scale = fround(run.scale);
  const inverse = inverseScale(scale);
  let magnitudes = 0;
  for (let i = start; i < end; i++) {
    const q = fround(fround(x[i]! * inverse) + BIAS - BIAS + zeroPoint);
    magnitudes += Math.abs(q);
    const clamped = (Math.abs(q - low) - Math.abs(q - high) + ends) * 0.5;
    y[i] = fround(clamped - zeroPoint) * scale;
  }
  return isExact(magnitudes);
}

/** The same for a run that holds NaN, infinities or values far outside the range. */
function fakeSpecialRun(x: TypedArray, y: TypedArray, run: FakeRun): void {
  const { start, end, zeroPoint, quantMin, quantMax, overflowsHigh } = run;
  const scale = fround(run.scale);
  const inverse = inverseScale(scale);
  const huge = overflowsHigh ? quantMax : quantMin;
  for (let i = start; i < end; i++) {
    const q = fround(fround(x[i]! * inverse) + BIAS - BIAS + zeroPoint);
    y[i] = fround((q >= INT64_LIMIT ? huge : clampNanLow(q, quantMin, quantMax)) - zeroPoint) * scale;
  }
}

/** The same for float64 x: the integer comes from double arithmetic, the result from float32. */
export function fakeQuantizeRunWide(x: TypedArray, y: TypedArray, run: FakeRun): void {
  const { start, end, zeroPoint, quantMin, quantMax } = run;
  const scale = fround(run.scale);
  const inverse = inverseScale(scale);
  for (let i = start; i < end; i++) {
    const q = x[i]! * inverse + BIAS - BIAS + zeroPoint;
    const clamped = isExact(q) ? clampExact(q, quantMin, quantMax) : q > quantMax ? quantMax : quantMin;
    y[i] = fround(fround(clamped - zeroPoint) * scale);
  }
}

/** dx[i] = q inside the range ? dy[i] : 0. `wide`: x is float64, whose products are not rounded to float32. */
export function straightThroughRun(dy: TypedArray, x: TypedArray, dx: TypedArray, run: FakeRun, wide: boolean): void {
  const { start, end, zeroPoint, quantMin, quantMax } = run;
  const inverse = inverseScale(run.scale);
  for (let i = start; i < end; i++) {
    const scaled = wide ? x[i]! * inverse : fround(x[i]! * inverse);
    const q = scaled + BIAS - BIAS + zeroPoint;
    dx[i] = dy[i]! * isWithin(q, quantMin, quantMax);
  }
}

/**
 * Zero points that are floats are added before rounding: rne(x * inv + z), and y = (q - z) * scale is rounded once.
 * Embeddings with float_qparams.
 */
export function fakeQuantizeRunFloatZero(x: TypedArray, y: TypedArray, run: FakeRun): void {
  const { start, end, zeroPoint, quantMin, quantMax } = run;
  const scale = fround(run.scale);
  const inverse = inverseScale(scale);
  for (let i = start; i < end; i++) {
    const q = fround(x[i]! * inverse + zeroPoint) + BIAS - BIAS;
    const clamped = isExact(q)
      ? clampExact(q, quantMin, quantMax)
      : q > quantMax && q < INT64_LIMIT
        ? quantMax
        : quantMin;
    y[i] = (clamped - zeroPoint) * scale;
  }
}

export function straightThroughRunFloatZero(dy: TypedArray, x: TypedArray, dx: TypedArray, run: FakeRun): void {
  const { start, end, zeroPoint, quantMin, quantMax } = run;
  const inverse = inverseScale(run.scale);
  for (let i = start; i < end; i++) {
    const q = fround(x[i]! * inverse + zeroPoint) + BIAS - BIAS;
    dx[i] = dy[i]! * isWithin(q, quantMin, quantMax);
  }
}

/** Calls `f(start, end, channel)` for each stretch of elements that lie in one slice of `axis`. */
export function forEachChannelRun(
  shape: Shape,
  axis: number,
  f: (start: number, end: number, channel: number) => void,
): void {
  const { outer, size, inner } = axisView(shape, axis);
  let start = 0;
  for (let o = 0; o < outer; o++) {
    for (let channel = 0; channel < size; channel++) {
      f(start, start + inner, channel);
      start += inner;
    }
  }
}

/**
 * Elements a call. A loop that is called often is compiled as a whole function; one that is called once for
 * everything spends a good part of its time in half-optimized code, again at every call.
 */
const CHUNK = 8192;

/** `forEachChannelRun`, or for axis null all elements (channel 0), in pieces of at most CHUNK. */
export function forEachRun(
  shape: Shape,
  axis: number | null,
  f: (start: number, end: number, channel: number) => void,
): void {
  const inPieces = (start: number, end: number, channel: number): void => {
    for (let at = start; at < end; at += CHUNK) f(at, Math.min(at + CHUNK, end), channel);
  };
  if (axis === null) inPieces(0, numel(shape), 0);
  else forEachChannelRun(shape, axis, inPieces);
}
