/**
 * Reductions. Axes are an attribute, or since opset 18 (13 for ReduceSum) an input.
 */

import { log, sqrt, exp, abs, cast } from "../../ops/unary.ts";
import { add, mul, sub } from "../../ops/arithmetic.ts";
import { amax, amin } from "../../ops/reduce-extremes.ts";
import { all, any } from "../../ops/reduce-logical.ts";
import { prod } from "../../ops/reduce-moments.ts";
import { mean, sum } from "../../ops/reduce.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { normalizeAxes, numel } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule } from "../call.ts";
import type { Call, OnnxRule, OnnxRules } from "../call.ts";

interface Reduction {
  readonly x: Tensor;
  readonly dim: number[];
  readonly keepdim: boolean;
}

type Reduce = (reduction: Reduction) => Tensor;

function reduction(f: Reduce): OnnxRule {
  return rule((call) => {
    const x = call.input(0);
    const axes = call.intsOrInput("axes", 1) ?? [];
    const keepdim = call.int("keepdims", 1) === 1;
    if (axes.length === 0 && call.int("noop_with_empty_axes") === 1) return f({ x, dim: [], keepdim: true });
    const dim = axes.length === 0 ? x.shape.map((_, i) => i) : normalizeAxes(call.opType, axes, x.rank);
    return cast(f({ x, dim, keepdim }), x.dtype);
  });
}

/** Sum that leaves x alone when there are no axes to sum over. */
const total: Reduce = ({ x, dim, keepdim }) => (dim.length === 0 ? x : sum(x, dim, { keepdim }));
const squared = (x: Tensor): Tensor => mul(x, x);

/** One axis after the other, last first: for operators that take one axis. */
function eachAxis(f: (x: Tensor, dim: number, options: { keepdim: boolean }) => Tensor): Reduce {
  return ({ x, dim, keepdim }) => [...dim].sort((a, b) => b - a).reduce((y, axis) => f(y, axis, { keepdim }), x);
}

function asFloat(x: Tensor): Tensor {
  const wide: DType = "float64";
  return isFloat(x.dtype) ? x : cast(x, wide);
}

/** Extremes of nothing are the dtype's ends. */
function extreme(which: "max" | "min"): OnnxRule {
  const found = which === "max" ? amax : amin;
  return rule((call: Call) => {
    const x = call.input(0);
    const axes = call.intsOrInput("axes", 1) ?? [];
    const keepdim = call.int("keepdims", 1) === 1;
    if (axes.length === 0 && call.int("noop_with_empty_axes") === 1) return x;
    const dim = axes.length === 0 ? x.shape.map((_, i) => i) : normalizeAxes(call.opType, axes, x.rank);
    if (x.dtype === "bool") return eachAxis(which === "max" ? any : all)({ x, dim, keepdim });
    const shape = x.shape.flatMap((size, axis) => (!dim.includes(axis) ? [size] : keepdim ? [1] : []));
    if (numel(x.shape) === 0) return call.filled(shape, which === "max" ? -Infinity : Infinity, x.dtype);
    return dim.length === 0 ? x : found(x, dim, { keepdim });
  });
}

/** log of the sum of exponentials, the largest taken out first. */
const logSumExp: Reduce = ({ x, dim, keepdim }) => {
  const y = asFloat(x);
  if (dim.length === 0) return y;
  if (numel(y.shape) === 0) return log(sum(y, dim, { keepdim }));
  const largest = amax(y, dim, { keepdim: true });
  const sums = log(sum(exp(sub(y, largest)), dim, { keepdim }));
  return add(sums, keepdim ? largest : amax(y, dim, { keepdim: false }));
};

export const reduceRules: OnnxRules = {
  ReduceL1: reduction(({ x, ...rest }) => total({ x: abs(x), ...rest })),
  ReduceL2: reduction(({ x, ...rest }) => sqrt(total({ x: squared(asFloat(x)), ...rest }))),
  ReduceLogSum: reduction((given) => log(asFloat(total(given)))),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceMax: extreme("max"),
  ReduceMean: reduction(({ x, dim, keepdim }) => (dim.length === 0 ? x : mean(asFloat(x), dim, { keepdim }))),
  ReduceMin: extreme("min"),
  ReduceProd: reduction(eachAxis(prod)),
  ReduceSum: reduction(total),
  ReduceSumSquare: reduction(({ x, ...rest }) => total({ x: squared(x), ...rest })),
};
