/**
 * Method forms of the operators: `x.add(y)` is `add(x, y)`, `x.flatten(1)` is `flatten(x, 1)`.
 *
 * One table, from which both the prototype and the types are made, so that a method cannot differ from its
 * function. The table stands here and not in tensor.ts because tensors are one floor below operators.
 */

import { backward } from "../autograd/backward.ts";
import type { BackwardOptions } from "../autograd/backward.ts";
import { Tensor } from "../tensor/tensor.ts";
import { add, div, maximum, minimum, mul, pow, remainder, sub } from "./arithmetic.ts";
import { equal, greater, greaterEqual, less, lessEqual, notEqual } from "./compare.ts";
import { mean, sum } from "./reduce.ts";
import { expand, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze } from "./shape.ts";
import { abs, cast, ceil, cos, erf, exp, floor, log, neg, reciprocal, round, rsqrt, sign, sin, sqrt, tanh } from "./unary.ts";

/** Operators whose first argument becomes the receiver. */
const functions = {
  ...{ add, div, maximum, minimum, mul, pow, remainder, sub },
  ...{ equal, greater, greaterEqual, less, lessEqual, notEqual },
  ...{ mean, sum },
  ...{ expand, flatten, movedim, permute, reshape, squeeze, transpose, unflatten, unsqueeze },
  ...{ abs, cast, ceil, cos, erf, exp, floor, log, neg, reciprocal, round, rsqrt, sign, sin, sqrt, tanh },
  backward,
};

type Functions = typeof functions;

type Method<F> = F extends (x: never, ...rest: infer A) => infer R ? (...args: A) => R : never;

export type TensorMethods = { readonly [K in keyof Functions]: Method<Functions[K]> };

declare module "../tensor/tensor.ts" {
  interface Tensor extends TensorMethods {
    /** Adds the gradient of this tensor to `.grad` of every leaf it was computed from. @throws AutogradError */
    backward(options?: BackwardOptions): void;
  }
}

for (const [name, f] of Object.entries(functions)) {
  const call = f as (...args: unknown[]) => unknown;
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...args: unknown[]) {
      return call(this, ...args);
    },
    writable: true,
    configurable: true,
  });
}
