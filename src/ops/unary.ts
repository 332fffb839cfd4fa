/**
 * Elementwise functions of one tensor that are not activations: one table row each.
 *
 * Values are computed in double and rounded once when stored. Derivatives stand before each rule.
 */

import { DtypeError } from "../errors.ts";
import { dtypeInfo, isFloat, isQuantized } from "../tensor/dtype.ts";
import type { DType } from "../tensor/dtype.ts";
import { rint } from "../tensor/rounding.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { add, div, mul, pow, sub } from "./arithmetic.ts";
import { mapTo, mapWith } from "./loops.ts";
import type { MapLoop } from "./loops.ts";
import { apply, defineOp, requireUnquantized } from "./op.ts";
import type { Attrs, BackwardContext, Op } from "./op.ts";
import { quantizedTanh } from "./quantized/activations.ts";
import { erfOf } from "./special-functions.ts";

type One = readonly [Tensor];
type NoAttrs = Readonly<Record<string, never>>;
type UnaryBackward = (dy: Tensor, x: Tensor, y: Tensor) => Tensor;

export interface UnaryOptions<A extends Attrs = NoAttrs> {
  /** Integers stay integers, become float32, or are refused with a DtypeError. */
  readonly integers?: "keep" | "toFloat" | "refuse";
  /** The loop over elements, for hot operators: it only meets float32, which V8 likes best. */
  readonly loop?: MapLoop;
  /** The quantized operator of the same meaning; see Op.quantized. */
  readonly quantized?: (x: Tensor, attrs: A) => Tensor;
}

/** The result's dtype. @throws DtypeError */
function resultDType(where: string, x: TensorType, integers: UnaryOptions["integers"]): DType {
  requireUnquantized(where, x);
  if (isFloat(x.dtype) || integers === "keep") return x.dtype;
  if (integers === "toFloat") return "float32";
  throw new DtypeError(where, { dtype: x.dtype, shape: x.shape }, "needs a float tensor");
}

/** Defines y = f(x), elementwise, where f depends on attributes; `dtype` is the one that y is computed in. */
export function unaryWith<A extends Attrs>(
  name: string,
  loopOf: (attrs: A, dtype: DType) => MapLoop,
  backward: (dy: Tensor, x: Tensor, y: Tensor, attrs: A) => Tensor,
  { integers = "refuse", quantized }: UnaryOptions<A> = {},
): Op<One, A> {
  return defineOp<One, A>({
    name,
    infer: ([x]) => [{ dtype: resultDType(name, x, integers), shape: x.shape }],
    forward: ([x], attrs, [type]) => [mapTo(type!, x, loopOf(attrs, type!.dtype))],
    backward: (dy: Tensor, { inputs: [x], outputs, attrs }: BackwardContext<One, A>) => [
      backward(dy, x, outputs[0]!, attrs),
    ],
    ...(quantized && { quantized: ([x]: One, attrs: A) => quantized(x, attrs) }),
  });
}

/** Defines y = f(x), elementwise. */
export function unary(
  name: string,
  f: (x: number) => number,
  backward: UnaryBackward,
  { integers = "toFloat", loop = mapWith(f), quantized }: UnaryOptions = {},
): Op<One, NoAttrs> {
  return unaryWith<NoAttrs>(name, (_, dtype) => (dtype === "float32" ? loop : mapWith(f)), backward, {
    integers,
    quantized,
  });
}

/** Gradient of step functions. PyTorch's is zero too. */
const flat: UnaryBackward = (dy) => mul(dy, 0);
const integers = "keep";

const negLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = -x[i]!;
};

const absLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = Math.abs(x[i]!);
};

const expLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = Math.exp(x[i]!);
};

const logLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = Math.log(x[i]!);
};

const sqrtLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = Math.sqrt(x[i]!);
};

const tanhLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = Math.tanh(x[i]!);
};

/** Sign of x; 0 for NaN, as in PyTorch. */
function signOf(x: number): number {
  return x > 0 ? 1 : x < 0 ? -1 : 0;
}

// -x
export const negOp = unary(
  "neg",
  (x) => -x,
  (dy) => neg(dy),
  { integers, loop: negLoop },
);
// d|x| = sign(x) dx
export const absOp = unary("abs", Math.abs, (dy, x) => mul(dy, sign(x)), { integers, loop: absLoop });
export const signOp = unary("sign", signOf, flat, { integers });
// d e^x = e^x dx
export const expOp = unary("exp", Math.exp, (dy, _, y) => mul(dy, y), { loop: expLoop });
// d (e^x - 1) = (y + 1) dx
export const expm1Op = unary("expm1", Math.expm1, (dy, _, y) => mul(dy, add(y, 1)));
// d ln x = dx / x
export const logOp = unary("log", Math.log, (dy, x) => div(dy, x), { loop: logLoop });
export const log2Op = unary("log2", Math.log2, (dy, x) => div(dy, mul(x, Math.LN2)));
// d ln(1 + x) = dx / (1 + x)
export const log1pOp = unary("log1p", Math.log1p, (dy, x) => div(dy, add(x, 1)));
// d sqrt(x) = dx / (2 sqrt(x))
export const sqrtOp = unary("sqrt", Math.sqrt, (dy, _, y) => div(dy, mul(y, 2)), { loop: sqrtLoop });
// In float32 the root is rounded before the division, as in PyTorch.
const rsqrtLoop: MapLoop = (x, y) => {
  const single = y instanceof Float32Array;
  for (let i = 0; i < y.length; i++) y[i] = 1 / (single ? Math.fround(Math.sqrt(x[i]!)) : Math.sqrt(x[i]!));
};

// d x^(-1/2) = -1/2 y^3 dx
export const rsqrtOp = unary(
  "rsqrt",
  (x) => 1 / Math.sqrt(x),
  (dy, _, y) => mul(mul(dy, -0.5), pow(y, 3)),
  { loop: rsqrtLoop },
);
// d (1/x) = -y^2 dx
export const reciprocalOp = unary(
  "reciprocal",
  (x) => 1 / x,
  (dy, _, y) => neg(mul(dy, mul(y, y))),
);
export const sinOp = unary("sin", Math.sin, (dy, x) => mul(dy, cos(x)));
export const cosOp = unary("cos", Math.cos, (dy, x) => neg(mul(dy, sin(x))));
// d tanh(x) = (1 - y^2) dx
export const tanhOp = unary("tanh", Math.tanh, (dy, _, y) => mul(dy, sub(1, mul(y, y))), {
  loop: tanhLoop,
  quantized: (x) => quantizedTanh(x),
});
// d erf(x) = 2/sqrt(pi) e^(-x^2) dx
export const erfOp = unary("erf", erfOf, (dy, x) => mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))));
export const floorOp = unary("floor", Math.floor, flat, { integers });
export const ceilOp = unary("ceil", Math.ceil, flat, { integers });
export const truncOp = unary("trunc", Math.trunc, flat, { integers });
export const roundOp = unary("round", rint, flat, { integers });

const boolLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = x[i] === 0 ? 0 : 1;
};

const copyLoop: MapLoop = (x, y) => y.set(x);

/** Toward zero; NaN and infinities give what x86 gives, the smallest of 32- and 64-bit integers and else 0. */
function truncateTo(dtype: DType): MapLoop {
  const { bits, min } = dtypeInfo[dtype];
  const indefinite = bits >= 32 ? min : 0;
  return (x, y) => {
    for (let i = 0; i < y.length; i++) y[i] = Number.isFinite(x[i]) ? Math.trunc(x[i]!) + 0 : indefinite;
  };
}

export const castOp = defineOp<One, { readonly dtype: DType }>({
  name: "cast",
  infer([x], { dtype }) {
    requireUnquantized("cast", x);
    if (isQuantized(dtype))
      throw new DtypeError("cast", { dtype }, "a cast does not quantize", "Use quantizePerTensor");
    return [{ dtype, shape: x.shape }];
  },
  forward([x], { dtype }, [type]) {
    const { kind } = dtypeInfo[dtype];
    if (kind === "bool") return [mapTo(type!, x, boolLoop)];
    return [mapTo(type!, x, kind === "int" && isFloat(x.dtype) ? truncateTo(dtype) : copyLoop)];
  },
  backward: (dy, { inputs: [x] }) => [isFloat(x.dtype) ? cast(dy, x.dtype) : null],
});

/** The values in another dtype; floats are truncated toward zero to integers. The same tensor when nothing changes. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : apply(castOp, [x], { dtype });
}

/** -x */
export function neg(x: Tensor): Tensor {
  return apply(negOp, [x], {});
}

/** |x|; the gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  return apply(absOp, [x], {});
}

/** -1, 0 or 1; 0 for NaN. */
export function sign(x: Tensor): Tensor {
  return apply(signOp, [x], {});
}

/** e^x */
export function exp(x: Tensor): Tensor {
  return apply(expOp, [x], {});
}

/** e^x - 1, accurate near 0. */
export function expm1(x: Tensor): Tensor {
  return apply(expm1Op, [x], {});
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return apply(logOp, [x], {});
}

/** Logarithm to base 2. */
export function log2(x: Tensor): Tensor {
  return apply(log2Op, [x], {});
}

/** ln(1 + x), accurate near 0. */
export function log1p(x: Tensor): Tensor {
  return apply(log1pOp, [x], {});
}

/** Square root; NaN below 0. */
export function sqrt(x: Tensor): Tensor {
  return apply(sqrtOp, [x], {});
}

/** 1 / sqrt(x) */
export function rsqrt(x: Tensor): Tensor {
  return apply(rsqrtOp, [x], {});
}

/** 1 / x */
export function reciprocal(x: Tensor): Tensor {
  return apply(reciprocalOp, [x], {});
}

export function sin(x: Tensor): Tensor {
  return apply(sinOp, [x], {});
}

export function cos(x: Tensor): Tensor {
  return apply(cosOp, [x], {});
}

/** Hyperbolic tangent, in -1..1. */
export function tanh(x: Tensor): Tensor {
  return apply(tanhOp, [x], {});
}

/** The error function, in -1..1. */
export function erf(x: Tensor): Tensor {
  return apply(erfOp, [x], {});
}

/** Largest integer not above x. */
export function floor(x: Tensor): Tensor {
  return apply(floorOp, [x], {});
}

/** Smallest integer not below x. */
export function ceil(x: Tensor): Tensor {
  return apply(ceilOp, [x], {});
}

/** x without its fraction. */
export function trunc(x: Tensor): Tensor {
  return apply(truncOp, [x], {});
}

/** Nearest integer, ties to even. */
export function round(x: Tensor): Tensor {
  return apply(roundOp, [x], {});
}
