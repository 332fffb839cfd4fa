/**
 * Smooth activations: sigmoid and its relatives, the elu family, silu, mish, gelu, softplus, glu.
 *
 * Scalar formulas are exported where another floor needs them. Values are computed in double, so float32
 * results are the true value rounded once; PyTorch's are within a few units in the last place of that.
 */

import { ShapeError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { add, div, minimum, mul, sub } from "./arithmetic.ts";
import { greater, lessEqual } from "./compare.ts";
import { literalIn } from "./loops.ts";
import type { MapLoop } from "./loops.ts";
import { apply } from "./op.ts";
import type { Attrs, Op } from "./op.ts";
import { quantizedSigmoid } from "./quantized/activations.ts";
import { chunk } from "./slicing.ts";
import { erfOf } from "./special-functions.ts";
import { abs, erf, exp, neg, tanh, unary, unaryWith } from "./unary.ts";
import { where } from "./where.ts";

const refuse = { integers: "refuse" } as const;

export function sigmoidOf(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

export function siluOf(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** ln(1 + e^x) without overflow. */
export function softplusOf(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

const sigmoidLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = 1 / (1 + Math.exp(-x[i]!));
};

const siluLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = x[i]! / (1 + Math.exp(-x[i]!));
};

// dy y (1 - y)
export const sigmoidOp = unary("sigmoid", sigmoidOf, (dy, _, y) => mul(dy, mul(y, sub(1, y))), {
  loop: sigmoidLoop,
  quantized: (x) => quantizedSigmoid(x),
});
// dy sigmoid(-x)
export const logSigmoidOp = unary(
  "logSigmoid",
  (x) => -softplusOf(-x),
  (dy, x) => mul(dy, sigmoid(neg(x))),
  refuse,
);
// dy / (1 + |x|)^2
export const softsignOp = unary(
  "softsign",
  (x) => x / (1 + Math.abs(x)),
  (dy, x) => {
    const below = add(abs(x), 1);
    return div(dy, mul(below, below));
  },
  refuse,
);
// dy s (1 + x (1 - s)), s = sigmoid(x)
export const siluOp = unary(
  "silu",
  siluOf,
  (dy, x) => {
    const s = sigmoid(x);
    return mul(dy, mul(s, add(mul(x, sub(1, s)), 1)));
  },
  { integers: "refuse", loop: siluLoop },
);
// dy (t + x sigmoid(x) (1 - t^2)), t = tanh(softplus(x))
export const mishOp = unary(
  "mish",
  (x) => x * Math.tanh(softplusOf(x)),
  (dy, x) => {
    const t = tanh(softplus(x));
    return mul(dy, add(t, mul(mul(x, sigmoid(x)), sub(1, mul(t, t)))));
  },
  refuse,
);

/** The coefficients of y = positive x above 0, else negative (e^(inner x) - 1). */
interface EluShape {
  readonly positive: number;
  readonly negative: number;
  readonly inner: number;
}

// positive above 0, else negative inner e^(inner x)
function eluLike<A extends Attrs>(name: string, shapeOf: (attrs: A) => EluShape): Op<readonly [Tensor], A> {
  return unaryWith<A>(
    name,
    (attrs, dtype) => {
      const shape = shapeOf(attrs);
      const [positive, negative, inner] = [shape.positive, shape.negative, shape.inner].map((v) => literalIn(dtype, v));
      return (x, y) => {
        for (let i = 0; i < y.length; i++)
          y[i] = x[i]! > 0 ? x[i]! * positive! : Math.expm1(x[i]! * inner!) * negative!;
      };
    },
    (dy, x, _, attrs) => {
      const { positive, negative, inner } = shapeOf(attrs);
      const slope = mul(exp(mul(minimum(x, 0), inner)), negative * inner);
      return where(lessEqual(x, 0), mul(dy, slope), mul(dy, positive));
    },
  );
}

// Klambauer et al., 2017: the fixed point of mean 0 and variance 1
export const SELU_ALPHA = 1.6732632423543772;
export const SELU_SCALE = 1.0507009873554805;

export const eluOp = eluLike<{ readonly alpha: number }>("elu", ({ alpha }) => ({
  positive: 1,
  negative: alpha,
  inner: 1,
}));
export const celuOp = eluLike<{ readonly alpha: number }>("celu", ({ alpha }) => ({
  positive: 1,
  negative: alpha,
  inner: 1 / alpha,
}));
export const seluOp = eluLike<Readonly<Record<string, never>>>("selu", () => ({
  positive: SELU_SCALE,
  negative: SELU_ALPHA * SELU_SCALE,
  inner: 1,
}));

// dy sigmoid(beta x), and dy where beta x is above the threshold
export const softplusOp = unaryWith<{ readonly beta: number; readonly threshold: number }>(
  "softplus",
  ({ beta, threshold }, dtype) => {
    const b = literalIn(dtype, beta);
    return (x, y) => {
      for (let i = 0; i < y.length; i++) y[i] = x[i]! * b > threshold ? x[i]! : softplusOf(x[i]! * b) / b;
    };
  },
  (dy, x, _, { beta, threshold }) => {
    const scaled = mul(x, beta);
    return where(greater(scaled, threshold), dy, mul(dy, sigmoid(scaled)));
  },
);

export type GeluApproximation = "none" | "tanh";

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

const geluLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) y[i] = 0.5 * x[i]! * (1 + erfOf(x[i]! * Math.SQRT1_2));
};

const geluTanhLoop: MapLoop = (x, y) => {
  for (let i = 0; i < y.length; i++) {
    const v = x[i]!;
    y[i] = 0.5 * v * (1 + Math.tanh(SQRT_2_OVER_PI * (v + CUBIC * v * v * v)));
  }
};

// dy (Phi(x) + x phi(x)), with the normal distribution function Phi and density phi
function geluGradient(dy: Tensor, x: Tensor): Tensor {
  const below = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
  const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return mul(dy, add(below, mul(x, density)));
}

// dy ((1 + t)/2 + x/2 (1 - t^2) u'), t = tanh(u), u = sqrt(2/pi) (x + 0.044715 x^3)
function geluTanhGradient(dy: Tensor, x: Tensor): Tensor {
  const square = mul(x, x);
  const t = tanh(mul(mul(x, add(mul(square, CUBIC), 1)), SQRT_2_OVER_PI));
  const inner = mul(add(mul(square, 3 * CUBIC), 1), SQRT_2_OVER_PI);
  return mul(dy, mul(add(add(t, 1), mul(mul(x, sub(1, mul(t, t))), inner)), 0.5));
}

export const geluOp = unaryWith<{ readonly approximate: GeluApproximation }>(
  "gelu",
  ({ approximate }) => (approximate === "tanh" ? geluTanhLoop : geluLoop),
  (dy, x, _, { approximate }) => (approximate === "tanh" ? geluTanhGradient(dy, x) : geluGradient(dy, x)),
);

/** 1 / (1 + e^-x), in 0..1. */
export function sigmoid(x: Tensor): Tensor {
  return apply(sigmoidOp, [x], {});
}

/** ln(sigmoid(x)), without underflow. @throws DtypeError */
export function logSigmoid(x: Tensor): Tensor {
  return apply(logSigmoidOp, [x], {});
}

/** x / (1 + |x|), in -1..1. @throws DtypeError */
export function softsign(x: Tensor): Tensor {
  return apply(softsignOp, [x], {});
}

/** x sigmoid(x), also called swish. @throws DtypeError */
export function silu(x: Tensor): Tensor {
  return apply(siluOp, [x], {});
}

/** x tanh(softplus(x)). @throws DtypeError */
export function mish(x: Tensor): Tensor {
  return apply(mishOp, [x], {});
}

/** x above 0, else alpha (e^x - 1). @throws DtypeError */
export function elu(x: Tensor, { alpha = 1 }: { alpha?: number } = {}): Tensor {
  return apply(eluOp, [x], { alpha });
}

/** x above 0, else alpha (e^(x / alpha) - 1). @throws DtypeError */
export function celu(x: Tensor, { alpha = 1 }: { alpha?: number } = {}): Tensor {
  return apply(celuOp, [x], { alpha });
}

/** The elu that keeps mean 0 and variance 1. @throws DtypeError */
export function selu(x: Tensor): Tensor {
  return apply(seluOp, [x], {});
}

/** ln(1 + e^(beta x)) / beta; x itself where beta x is above the threshold. @throws DtypeError */
export function softplus(x: Tensor, { beta = 1, threshold = 20 }: { beta?: number; threshold?: number } = {}): Tensor {
  return apply(softplusOp, [x], { beta, threshold });
}

/** x times the normal distribution function of x, or its tanh approximation (Hendrycks and Gimpel, 2016). @throws DtypeError */
export function gelu(x: Tensor, { approximate = "none" }: { approximate?: GeluApproximation } = {}): Tensor {
  return apply(geluOp, [x], { approximate });
}

/** The first half of axis `dim` times the sigmoid of the second. @throws ShapeError for an odd size. */
export function glu(x: Tensor, dim = -1): Tensor {
  if (x.size(dim) % 2 !== 0) throw new ShapeError("glu", { shape: x.shape, dim }, "the size of the axis must be even");
  const [value, gate] = chunk(x, 2, dim);
  return mul(value!, sigmoid(gate!));
}
