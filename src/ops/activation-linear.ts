/**
 * Activations made of straight lines: relu, relu6, leakyRelu, prelu, hardtanh, hardsigmoid, hardswish, threshold.
 *
 * NaN goes through all of them. Gradients at the knots are PyTorch's (ATen/native/cpu/Activation.cpp), and
 * stand before each rule.
 */

import { ShapeError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { add, div, mul } from "./arithmetic.ts";
import { greater, less, lessEqual } from "./compare.ts";
import { choose, literalIn, zipTo, zipWith } from "./loops.ts";
import type { MapLoop, ZipKernel } from "./loops.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Op } from "./op.ts";
import {
  quantizedHardsigmoid,
  quantizedHardtanh,
  quantizedLeakyRelu,
  quantizedRelu,
  quantizedRelu6,
  quantizedThreshold,
} from "./quantized/activations.ts";
import { sumToShape } from "./reduce.ts";
import { reshape } from "./shape.ts";
import { unary, unaryWith } from "./unary.ts";
import { maskedFill, where } from "./where.ts";

type Pair = readonly [Tensor, Tensor];
type Gate = { readonly low: number; readonly high: number | null };

function gateAbove(low: number): ZipKernel {
  return {
    f: (d, v) => (v <= low ? 0 : d),
    loop(n, y, o, a, i, si, b, j, sj) {
      for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = choose(b[j]! <= low, 0, a[i]!);
    },
  };
}

function gateBetween(low: number, high: number): ZipKernel {
  return {
    f: (d, v) => (v > low && v < high ? d : 0),
    loop(n, y, o, a, i, si, b, j, sj) {
      for (const end = o + n; o < end; o++, i += si, j += sj)
        y[o] = choose(b[j]! > low, choose(b[j]! < high, a[i]!, 0), 0);
    },
  };
}

/**
 * dy where low < x < high, else 0: the gradient of a line cut at its ends. NaN is between no two bounds, but passes
 * where there is no upper one (null), as in PyTorch.
 */
export const gateOp: Op<Pair, Gate> = defineOp<Pair, Gate>({
  name: "gate",
  infer: ([dy]) => [{ dtype: dy.dtype, shape: dy.shape }],
  forward: ([dy, x], { low, high }, [type]) => [
    zipTo(type!, dy, x, high === null ? gateAbove(low) : gateBetween(low, high)),
  ],
  backward: (d, { inputs: [, x], attrs }) => [gate(d, x, attrs), null],
});

function gate(dy: Tensor, x: Tensor, attrs: Gate): Tensor {
  return apply(gateOp, [dy, x], attrs);
}

const reluLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = choose(x[i]! < 0, 0, x[i]!);
};

function clampLoop(low: number, high: number): MapLoop {
  return (x, y) => {
    for (let i = 0; i < y.length; i++) {
      const raised = choose(x[i]! < low, low, x[i]!);
      y[i] = choose(raised > high, high, raised);
    }
  };
}

// 1 above 0, else 0
export const reluOp = unary(
  "relu",
  (x) => (x < 0 ? 0 : x),
  (dy, _, y) => gate(dy, y, { low: 0, high: null }),
  {
    integers: "keep",
    loop: reluLoop,
    quantized: (x) => quantizedRelu(x),
  },
);

// 1 inside (0, 6), else 0
export const relu6Op = unary(
  "relu6",
  (x) => Math.min(Math.max(x, 0), 6),
  (dy, x) => gate(dy, x, { low: 0, high: 6 }),
  {
    integers: "keep",
    loop: clampLoop(0, 6),
    quantized: (x) => quantizedRelu6(x),
  },
);

// 1 inside (min, max), else 0
export const hardtanhOp = unaryWith<{ readonly minVal: number; readonly maxVal: number }>(
  "hardtanh",
  ({ minVal, maxVal }, dtype) => clampLoop(literalIn(dtype, minVal), literalIn(dtype, maxVal)),
  (dy, x, _, { minVal, maxVal }) => gate(dy, x, { low: literalIn(x.dtype, minVal), high: literalIn(x.dtype, maxVal) }),
  { quantized: (x, attrs) => quantizedHardtanh(x, attrs) },
);

// 1/6 inside (-3, 3), else 0
export const hardsigmoidOp = unary(
  "hardsigmoid",
  (x) => Math.min(Math.max(x + 3, 0), 6) / 6,
  (dy, x) => gate(div(dy, 6), x, { low: -3, high: 3 }),
  { integers: "refuse", quantized: (x) => quantizedHardsigmoid(x) },
);

const hardswishLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = (x[i]! * Math.min(Math.max(x[i]! + 3, 0), 6)) / 6;
};

// 0 below -3, x/3 + 1/2 up to 3, 1 above
export const hardswishOp = unary(
  "hardswish",
  (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
  (dy, x) => maskedFill(where(less(x, 3), mul(dy, add(div(x, 3), 0.5)), dy), lessEqual(x, -3), 0),
  { integers: "refuse", loop: hardswishLoop },
);

// 1 above 0, else the slope
export const leakyReluOp = unaryWith<{ readonly negativeSlope: number }>(
  "leakyRelu",
  ({ negativeSlope }, dtype) => {
    const slope = literalIn(dtype, negativeSlope);
    return (x, y) => {
      for (let i = 0; i < y.length; i++) y[i] = x[i]! * choose(x[i]! > 0, 1, slope);
    };
  },
  (dy, x, _, { negativeSlope }) => where(greater(x, 0), dy, mul(dy, negativeSlope)),
  { quantized: (x, { negativeSlope }) => quantizedLeakyRelu(x, { negativeSlope }) },
);

// 1 above the threshold, else 0
export const thresholdOp = unaryWith<{ readonly threshold: number; readonly value: number }>(
  "threshold",
  ({ threshold, value }, dtype) => {
    const [limit, other] = [literalIn(dtype, threshold), literalIn(dtype, value)];
    return (x, y) => {
      for (let i = 0; i < y.length; i++) y[i] = x[i]! <= limit ? other : x[i]!;
    };
  },
  (dy, x, _, { threshold }) => gate(dy, x, { low: literalIn(x.dtype, threshold), high: null }),
  { integers: "keep", quantized: (x, { threshold, value }) => quantizedThreshold(x, threshold, value) },
);

const preluLoop = zipWith((x, w) => (x > 0 ? x : w * x));

/** The slopes in the shape that broadcasts against x: one for all, or one a channel (axis 1). */
function slopeShape(x: { readonly shape: readonly number[] }, weight: { readonly shape: readonly number[] }): number[] {
  const count = numel(weight.shape);
  if (weight.shape.length > 1 || (count !== 1 && count !== x.shape[1])) {
    throw new ShapeError(
      "prelu",
      { x: x.shape, weight: weight.shape },
      "there must be one slope, or one for every channel (axis 1)",
    );
  }
  return count === 1 ? [] : [count, ...x.shape.slice(2).map(() => 1)];
}

// dx: 1 above 0, else the slope; dw: 0 above 0, else x
export const preluOp = defineOp<Pair, Readonly<Record<string, never>>>({
  name: "prelu",
  infer([x, weight]) {
    requireFloat("prelu", x, weight);
    slopeShape(x, weight);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  forward: ([x, weight], _, [type]) => [zipTo(type!, x, reshape(weight, slopeShape(x, weight)), preluLoop)],
  backward(dy, { inputs: [x, weight], needs }) {
    const slopes = reshape(weight, slopeShape(x, weight));
    const positive = greater(x, 0);
    return [
      needs[0] ? where(positive, dy, mul(dy, slopes)) : null,
      needs[1] ? reshape(sumToShape(where(positive, 0, mul(dy, x)), slopes.shape), weight.shape) : null,
    ];
  },
});

/** max(x, 0). */
export function relu(x: Tensor): Tensor {
  return apply(reluOp, [x], {});
}

/** min(max(x, 0), 6). */
export function relu6(x: Tensor): Tensor {
  return apply(relu6Op, [x], {});
}

/** x limited to minVal..maxVal; the gradient is 0 at the limits themselves. @throws DtypeError */
export function hardtanh(x: Tensor, { minVal = -1, maxVal = 1 }: { minVal?: number; maxVal?: number } = {}): Tensor {
  return apply(hardtanhOp, [x], { minVal, maxVal });
}

/** min(max(x + 3, 0), 6) / 6, in 0..1. @throws DtypeError */
export function hardsigmoid(x: Tensor): Tensor {
  return apply(hardsigmoidOp, [x], {});
}

/** x hardsigmoid(x) (Howard et al., 2019). @throws DtypeError */
export function hardswish(x: Tensor): Tensor {
  return apply(hardswishOp, [x], {});
}

/** x above 0, else x times the slope. @throws DtypeError */
export function leakyRelu(x: Tensor, { negativeSlope = 0.01 }: { negativeSlope?: number } = {}): Tensor {
  return apply(leakyReluOp, [x], { negativeSlope });
}

/**
 * x above 0, else x times a learned slope: `weight` holds one, or one for every channel (axis 1).
 * @throws ShapeError, DtypeError
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  return apply(preluOp, [x, weight], {});
}

/** x above `threshold`, else `value`. */
export function threshold(x: Tensor, limit: number, value: number): Tensor {
  return apply(thresholdOp, [x], { threshold: limit, value });
}
