/**
 * Method forms of the operators: `x.add(y)` is `add(x, y)`, `x.flatten(1)` is `flatten(x, 1)`.
 *
 * One table, from which both the prototype and the types are made, so that a method cannot differ from its
 * function. The table stands here and not in tensor.ts because tensors are one floor below operators.
 */

import { backward } from "../autograd/backward.ts";
import type { BackwardOptions } from "../autograd/backward.ts";
import { Tensor } from "../tensor/tensor.ts";
import { relu } from "./activation-linear.ts";
import { sigmoid } from "./activation-smooth.ts";
import { logSoftmax, softmax } from "./activation-softmax.ts";
import { add, div, maximum, minimum, mul, pow, remainder, sub } from "./arithmetic.ts";
import { clamp, clampMax, clampMin } from "./clamp.ts";
import { equal, greater, greaterEqual, less, lessEqual, notEqual } from "./compare.ts";
import { cumprod, cumsum } from "./cumulative.ts";
import { gather, indexSelect, scatter, scatterAdd, take } from "./gather.ts";
import {
  bitwiseAnd,
  bitwiseOr,
  bitwiseXor,
  isfinite,
  isinf,
  isnan,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
} from "./logical.ts";
import { bmm, matmul, mm } from "./matmul.ts";
import { amax, amin, argmax, argmin, max, min } from "./reduce-extremes.ts";
import type { ValuesAndIndices } from "./reduce-extremes.ts";
import { all, any } from "./reduce-logical.ts";
import { logsumexp, norm, prod, std, variance } from "./reduce-moments.ts";
import { mean, sum } from "./reduce.ts";
import type { ReduceOptions } from "./reduce.ts";
import { repeat, repeatInterleave, roll, tile } from "./repeat.ts";
import { expand, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze } from "./shape.ts";
import { chunk, flip, narrow, select, slice, split, unbind } from "./slicing.ts";
import { argsort, maskedSelect, nonzero, sort, topk } from "./sort.ts";
import { tril, triu } from "./triangle.ts";
import { abs, cast, ceil, cos, erf, exp, expm1, floor, log, log1p, log2, neg } from "./unary.ts";
import { reciprocal, round, rsqrt, sign, sin, sqrt, tanh, trunc } from "./unary.ts";
import { maskedFill } from "./where.ts";

/** Operators whose first argument becomes the receiver. */
const functions = {
  ...{ add, div, maximum, minimum, mul, pow, remainder, sub, matmul, bmm, mm },
  ...{ equal, greater, greaterEqual, less, lessEqual, notEqual },
  ...{ bitwiseAnd, bitwiseOr, bitwiseXor, isfinite, isinf, isnan, logicalAnd, logicalNot, logicalOr, logicalXor },
  ...{ abs, cast, ceil, cos, erf, exp, expm1, floor, log, log1p, log2, neg },
  ...{ reciprocal, round, rsqrt, sign, sin, sqrt, tanh, trunc },
  ...{ relu, sigmoid, softmax, logSoftmax, clamp, clampMin, clampMax, maskedFill },
  ...{ sum, mean, var: variance, std, norm, prod, logsumexp, all, any, cumsum, cumprod },
  ...{ amax, amin, argmax, argmin, sort, argsort, topk },
  ...{ expand, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze },
  ...{ chunk, flip, narrow, select, slice, split, unbind, repeat, repeatInterleave, roll, tile, tril, triu },
  ...{ gather, indexSelect, scatter, scatterAdd, take, maskedSelect, nonzero },
};

/** Those whose types a table cannot carry: overloads, and nothing to return. They are declared one by one below. */
const overloaded = { backward, max, min };

type Functions = typeof functions;

type Method<F> = F extends (x: never, ...rest: infer A) => infer R ? (...args: A) => R : never;

export type TensorMethods = { readonly [K in keyof Functions]: Method<Functions[K]> };

declare module "../tensor/tensor.ts" {
  interface Tensor extends TensorMethods {
    /** Adds the gradient of this tensor to `.grad` of every leaf it was computed from. @throws AutogradError */
    backward(options?: BackwardOptions): void;
    /** The largest value of all, or the largest values along an axis with their indices. @throws ShapeError */
    max(): Tensor;
    max(dim: number, options?: ReduceOptions): ValuesAndIndices;
    /** The smallest value of all, or the smallest values along an axis with their indices. @throws ShapeError */
    min(): Tensor;
    min(dim: number, options?: ReduceOptions): ValuesAndIndices;
  }
}

for (const [name, f] of Object.entries({ ...functions, ...overloaded })) {
  const call = f as (...args: unknown[]) => unknown;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...args: unknown[]) {
      return call(this, ...args);
    },
    writable: true,
    configurable: true,
  });
}
