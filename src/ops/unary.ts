/**
 * Elementwise functions of one tensor that are not activations: one table row each.
 *
 * Values are computed in double and rounded once when stored. Derivatives stand before each rule.
 */

import { dtypeInfo, isFloat } from "../tensor/dtype.ts";
import type { DType } from "../tensor/dtype.ts";
import { rint } from "../tensor/rounding.ts";
import { roundingTo } from "../tensor/small-floats.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { div, mul, sub } from "./arithmetic.ts";
import { mapTo } from "./loops.ts";
import { apply, defineOp, requireUnquantized } from "./op.ts";
import type { BackwardContext, Op } from "./op.ts";
import { erfOf } from "./special-functions.ts";

type One = readonly [Tensor];
type NoAttrs = Readonly<Record<string, never>>;
type UnaryBackward = ((dy: Tensor, x: Tensor, y: Tensor) => Tensor) | string;

/** Defines y = f(x), elementwise; functions of integers that are not integer-valued give float32. */
export function unary(
  name: string,
  f: (x: number) => number,
  backward: UnaryBackward,
  { keepsIntegers = false } = {},
): Op<One, NoAttrs> {
  return defineOp<One, NoAttrs>({
    name,
    infer([x]) {
      requireUnquantized(name, x);
      const dtype: DType = isFloat(x.dtype) || keepsIntegers ? x.dtype : "float32";
      return [{ dtype, shape: x.shape }];
    },
    forward: ([x], _, [type]) => [mapTo(type!, x, f)],
    backward:
      typeof backward === "string"
        ? backward
        : (dy: Tensor, { inputs: [x], outputs }: BackwardContext<One, NoAttrs>) => [backward(dy, x, outputs[0]!)],
  });
}

const FLAT = "is constant between steps";
const integers = { keepsIntegers: true };

// -x
export const negOp = unary("neg", (x) => -x, (dy) => neg(dy), integers);
// d|x| = sign(x) dx
export const absOp = unary("abs", Math.abs, (dy, x) => mul(dy, sign(x)), integers);
export const signOp = unary("sign", Math.sign, (dy) => mul(dy, 0), integers);
// d e^x = e^x dx
export const expOp = unary("exp", Math.exp, (dy, _, y) => mul(dy, y));
// d ln x = dx / x
export const logOp = unary("log", Math.log, (dy, x) => div(dy, x));
// d sqrt(x) = dx / (2 sqrt(x))
export const sqrtOp = unary("sqrt", Math.sqrt, (dy, _, y) => div(dy, mul(y, 2)));
// d x^(-1/2) = -1/2 x^(-3/2) dx
export const rsqrtOp = unary("rsqrt", (x) => 1 / Math.sqrt(x), (dy, x, y) => mul(dy, mul(div(y, x), -0.5)));
// d (1/x) = -y^2 dx
export const reciprocalOp = unary("reciprocal", (x) => 1 / x, (dy, _, y) => neg(mul(dy, mul(y, y))));
export const sinOp = unary("sin", Math.sin, (dy, x) => mul(dy, cos(x)));
export const cosOp = unary("cos", Math.cos, (dy, x) => neg(mul(dy, sin(x))));
// d tanh(x) = (1 - y^2) dx
export const tanhOp = unary("tanh", Math.tanh, (dy, _, y) => mul(dy, sub(1, mul(y, y))));
// d erf(x) = 2/sqrt(pi) e^(-x^2) dx
export const erfOp = unary("erf", erfOf, (dy, x) => mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))));
export const floorOp = unary("floor", Math.floor, FLAT, integers);
export const ceilOp = unary("ceil", Math.ceil, FLAT, integers);
export const roundOp = unary("round", rint, FLAT, integers);

export const castOp = defineOp<One, { readonly dtype: DType }>({
  name: "cast",
  infer([x], { dtype }) {
    requireUnquantized("cast", x);
    return [{ dtype, shape: x.shape }];
  },
  forward([x], { dtype }, [type]) {
    const { kind } = dtypeInfo[dtype];
    if (kind === "bool") return [mapTo(type!, x, (v) => (v === 0 ? 0 : 1))];
    const truncates = kind === "int" && isFloat(x.dtype);
    return [mapTo(type!, x, truncates ? Math.trunc : roundingTo(dtype))];
  },
  backward: (dy, { inputs: [x] }) => [isFloat(x.dtype) ? cast(dy, x.dtype) : null],
});

/** The values in another dtype; floats are truncated toward zero to integers. The same tensor when nothing changes. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : apply(castOp, [x], { dtype });
}

export function neg(x: Tensor): Tensor {
  return apply(negOp, [x], {});
}

export function abs(x: Tensor): Tensor {
  return apply(absOp, [x], {});
}

export function sign(x: Tensor): Tensor {
  return apply(signOp, [x], {});
}

export function exp(x: Tensor): Tensor {
  return apply(expOp, [x], {});
}

export function log(x: Tensor): Tensor {
  return apply(logOp, [x], {});
}

export function sqrt(x: Tensor): Tensor {
  return apply(sqrtOp, [x], {});
}

export function rsqrt(x: Tensor): Tensor {
  return apply(rsqrtOp, [x], {});
}

export function reciprocal(x: Tensor): Tensor {
  return apply(reciprocalOp, [x], {});
}

export function sin(x: Tensor): Tensor {
  return apply(sinOp, [x], {});
}

export function cos(x: Tensor): Tensor {
  return apply(cosOp, [x], {});
}

export function tanh(x: Tensor): Tensor {
  return apply(tanhOp, [x], {});
}

export function erf(x: Tensor): Tensor {
  return apply(erfOp, [x], {});
}

export function floor(x: Tensor): Tensor {
  return apply(floorOp, [x], {});
}

export function ceil(x: Tensor): Tensor {
  return apply(ceilOp, [x], {});
}

export function round(x: Tensor): Tensor {
  return apply(roundOp, [x], {});
}

