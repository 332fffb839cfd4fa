/**
 * Variance, standard deviation, norms, products and log-sum-exp over axes of a float tensor.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { div, mul, pow, sub } from "./arithmetic.ts";
import { equal } from "./compare.ts";
import { cumprod } from "./cumulative.ts";
import { logicalNot } from "./logical.ts";
import { apply } from "./op.ts";
import { mean, reduceAttrs, reducedCount, restoreDims, sum } from "./reduce.ts";
import type { Dims, ReduceAttrs, ReduceOptions } from "./reduce.ts";
import { laneReduction } from "./reduce-lanes.ts";
import type { LaneFunction } from "./reduce-lanes.ts";
import { movedim, reshape } from "./shape.ts";
import { flip } from "./slicing.ts";
import { abs, exp, sign } from "./unary.ts";
import { pad } from "./pad.ts";
import { maskedFill } from "./where.ts";

type VarianceAttrs = ReduceAttrs & { readonly correction: number };

/** Two passes: the mean, then the squares around it. */
function varianceLane({ correction }: VarianceAttrs): LaneFunction {
  return (data, base, steps) => {
    let total = 0;
    for (let k = 0; k < steps.length; k++) total += data[base + steps[k]!]!;
    const center = total / steps.length;
    let squares = 0;
    for (let k = 0; k < steps.length; k++) squares += (data[base + steps[k]!]! - center) ** 2;
    return squares / Math.max(0, steps.length - correction);
  };
}

// 2 (x - mean) / (count - correction)
export const varOp = laneReduction<VarianceAttrs>("var", varianceLane, (dy, x, _, attrs) => {
  const { dim, correction } = attrs;
  const spread = mul(sub(x, mean(x, dim, { keepdim: true })), 2 / Math.max(0, reducedCount(x.shape, dim) - correction));
  return mul(restoreDims(dy, x.shape, attrs), spread);
});

// (x - mean) / ((count - correction) std), and 0 where the deviation is
export const stdOp = laneReduction<VarianceAttrs>(
  "std",
  (attrs) => {
    const variance = varianceLane(attrs);
    return (data, base, steps) => Math.sqrt(variance(data, base, steps));
  },
  (dy, x, y, attrs) => {
    const slope = maskedFill(
      div(dy, mul(y, Math.max(0, reducedCount(x.shape, attrs.dim) - attrs.correction))),
      equal(y, 0),
      0,
    );
    return mul(restoreDims(slope, x.shape, attrs), sub(x, mean(x, attrs.dim, { keepdim: true })));
  },
);

type NormAttrs = ReduceAttrs & { readonly p: number | "inf" | "-inf" };

function extremeLane(pick: (a: number, b: number) => number, start: number): LaneFunction {
  return (data, base, steps) => {
    let found = start;
    for (let k = 0; k < steps.length; k++) found = pick(found, Math.abs(data[base + steps[k]!]!));
    return found;
  };
}

function normLane({ p }: NormAttrs): LaneFunction {
  if (p === "inf") return extremeLane(Math.max, 0);
  if (p === "-inf") return extremeLane(Math.min, Infinity);
  return (data, base, steps) => {
    let total = 0;
    for (let k = 0; k < steps.length; k++) {
      const v = Math.abs(data[base + steps[k]!]!);
      total += p === 2 ? v * v : p === 1 ? v : p === 0 ? Number(v !== 0) : Math.pow(v, p);
    }
    return p === 2 ? Math.sqrt(total) : p === 1 || p === 0 ? total : Math.pow(total, 1 / p);
  };
}

// sign(x) |x|^(p-1) / y^(p-1), and 0 where the norm is; at an infinite p the extremes share the gradient
export const normOp = laneReduction<NormAttrs>("norm", normLane, (dy, x, y, attrs) => {
  const { p } = attrs;
  const [dY, Y] = [restoreDims(dy, x.shape, attrs), restoreDims(y, x.shape, attrs)];
  if (p === 0) return mul(dY, mul(x, 0));
  if (p === 1) return mul(dY, sign(x));
  if (p === 2) return mul(x, maskedFill(div(dY, Y), equal(Y, 0), 0));
  if (typeof p === "string") {
    const winners = equal(abs(x), Y);
    return mul(div(dY, sum(winners, attrs.dim, { keepdim: true })), maskedFill(sign(x), logicalNot(winners), 0));
  }
  const slope = mul(sign(x), p > 1 ? pow(abs(x), p - 1) : maskedFill(pow(abs(x), p - 1), equal(x, 0), 0));
  return mul(slope, maskedFill(div(dY, pow(Y, p - 1)), equal(Y, 0), 0));
});

// x - y is never positive, so e^(x - y) does not overflow; where y is infinite it is 1 for x = y
export const logsumexpOp = laneReduction<ReduceAttrs>(
  "logsumexp",
  () => (data, base, steps) => {
    let most = -Infinity;
    for (let k = 0; k < steps.length; k++) most = Math.max(most, data[base + steps[k]!]!);
    if (most === Infinity || most === -Infinity) return most;
    let total = 0;
    for (let k = 0; k < steps.length; k++) total += Math.exp(data[base + steps[k]!]! - most);
    return most + Math.log(total);
  },
  (dy, x, y, attrs) => mul(restoreDims(dy, x.shape, attrs), exp(sub(x, restoreDims(y, x.shape, attrs)))),
);

/** Product of the other values in each lane of the last axis, without dividing, so that zeros are no problem. */
function productOfOthers(lanes: Tensor): Tensor {
  const before = cumprod(pad(lanes, [1, -1], { value: 1 }), -1);
  const after = flip(cumprod(pad(flip(lanes, -1), [1, -1], { value: 1 }), -1), -1);
  return mul(before, after);
}

// product of the other values
export const prodOp = laneReduction<ReduceAttrs>(
  "prod",
  () => (data, base, steps) => {
    let product = 1;
    for (let k = 0; k < steps.length; k++) product *= data[base + steps[k]!]!;
    return product;
  },
  (dy, x, _, attrs) => {
    const { dim } = attrs;
    const last = dim.map((_, i) => x.rank - dim.length + i);
    const moved = movedim(x, dim, last);
    const others = productOfOthers(reshape(moved, [-1, reducedCount(x.shape, dim)]));
    return mul(restoreDims(dy, x.shape, attrs), movedim(reshape(others, moved.shape), last, dim));
  },
);

export interface VarianceOptions extends ReduceOptions {
  /** Subtracted from the count in the denominator: 1 for the sample's (Bessel), 0 for the population's. */
  readonly correction?: number;
}

/** Variance over axes. @throws DtypeError for integers */
export function variance(x: Tensor, dim?: Dims, { correction = 1, ...options }: VarianceOptions = {}): Tensor {
  return apply(varOp, [x], { ...reduceAttrs("var", x, dim, options), correction });
}

/** Standard deviation over axes. @throws DtypeError for integers */
export function std(x: Tensor, dim?: Dims, { correction = 1, ...options }: VarianceOptions = {}): Tensor {
  return apply(stdOp, [x], { ...reduceAttrs("std", x, dim, options), correction });
}

/** (sum of |x|^p)^(1/p) over axes; p may be infinite (the largest magnitude) or 0 (how many are not 0). @throws DtypeError */
export function norm(x: Tensor, p = 2, dim?: Dims, options: ReduceOptions = {}): Tensor {
  const named = p === Infinity ? "inf" : p === -Infinity ? "-inf" : p;
  return apply(normOp, [x], { ...reduceAttrs("norm", x, dim, options), p: named });
}

/** ln(sum of e^x) over axes, without overflow. @throws DtypeError */
export function logsumexp(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(logsumexpOp, [x], reduceAttrs("logsumexp", x, dim, options));
}

/** Product over axes of a float tensor. @throws DtypeError */
export function prod(x: Tensor, dim?: Dims, options: ReduceOptions = {}): Tensor {
  return apply(prodOp, [x], reduceAttrs("prod", x, dim, options));
}
