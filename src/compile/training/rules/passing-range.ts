/**
 * Which values a straight-through mask lets pass: those whose integer lies in the range. Rounding is monotone, so they are
 * an interval; its ends are found by bisection over the float32 numbers, exactly.
 */

import { rint } from "../../../tensor/rounding.ts";
import type { Range } from "../../steps/clamps.ts";

const { fround } = Math;
const BITS = new DataView(new ArrayBuffer(4));
/** Ordinals of the largest finite float32 and its negative. */
const LARGEST = 0x7f7fffff;

/** The float32 number at a place in their order; 0 stands for zero, negative ordinals for negative numbers. */
function floatAt(ordinal: number): number {
  BITS.setInt32(0, ordinal >= 0 ? ordinal : -ordinal | 0x80000000);
  return BITS.getFloat32(0);
}

/** The smallest ordinal for which `holds` is true; it is false below and true above. One past the largest if never. */
function firstOrdinal(holds: (v: number) => boolean): number {
  let [low, high] = [-LARGEST, LARGEST + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(floatAt(middle))) high = middle;
    else low = middle + 1;
  }
  return low;
}

function endAt(ordinal: number): number {
  if (ordinal < -LARGEST) return -Infinity;
  return ordinal > LARGEST ? Infinity : floatAt(ordinal);
}

/**
 * The open interval of values v for which clamp(v, activation) is rounded to an integer in quantMin..quantMax by
 * rne(f32(v / scale)) + zeroPoint.
 */
export function passingRange(
  scale: number,
  zeroPoint: number,
  quantMin: number,
  quantMax: number,
  activation: Range,
): Range {
  const inverse = fround(1 / fround(scale));
  const integer = (v: number): number => fround(rint(fround(v * inverse)) + zeroPoint);
  const first = firstOrdinal((v) => integer(v) >= quantMin);
  const behind = firstOrdinal((v) => integer(v) > quantMax);
  const [least, most] = [endAt(first), endAt(behind - 1)];
  return {
    low: least <= activation.low ? -Infinity : endAt(first - 1),
    high: most >= activation.high ? Infinity : endAt(behind),
  };
}
