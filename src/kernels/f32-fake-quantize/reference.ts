/** The specification of f32-fake-quantize: PyTorch's rule, see the kernel. */

import { rint } from "../../tensor/rounding.ts";

const { fround } = Math;

/** Integers pass through 64 bits. */
const INT64_LIMIT = 2 ** 63;

export interface FakeQuantizeRule {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
  /** Where integers that do not fit 64 bits go. */
  readonly huge: number;
}

function quantized(v: number, { scale, zeroPoint }: FakeQuantizeRule): number {
  return fround(rint(fround(v * fround(1 / fround(scale)))) + zeroPoint);
}

export function fakeQuantizeReference(x: Float32Array, rule: FakeQuantizeRule): Float32Array {
  const { scale, zeroPoint, low, high, huge } = rule;
  return x.map((v) => {
    const q = quantized(v, rule);
    const inside = q >= INT64_LIMIT ? huge : q > low ? Math.min(q, high) : low;
    return fround(fround(inside - zeroPoint) * fround(scale));
  });
}

export function fakeQuantizeGradReference(dy: Float32Array, x: Float32Array, rule: FakeQuantizeRule): Float32Array {
  return dy.map((d, i) => {
    const q = quantized(x[i]!, rule);
    return q >= rule.low && q <= rule.high ? d : 0;
  });
}
