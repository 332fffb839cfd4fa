/**
 * The trigonometric and hyperbolic functions that unary.ts does not have, and their inverses. Elementwise on floats.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { add, div, mul, sub } from "./arithmetic.ts";
import { apply } from "./op.ts";
import { rsqrt, unary } from "./unary.ts";

// d tan = 1 + tan^2
export const tanOp = unary("tan", Math.tan, (dy, _, y) => mul(dy, add(mul(y, y), 1)));
// d asin = 1 / sqrt(1 - x^2)
export const asinOp = unary("asin", Math.asin, (dy, x) => mul(dy, rsqrt(sub(1, mul(x, x)))));
export const acosOp = unary("acos", Math.acos, (dy, x) => mul(mul(dy, -1), rsqrt(sub(1, mul(x, x)))));
// d atan = 1 / (1 + x^2)
export const atanOp = unary("atan", Math.atan, (dy, x) => div(dy, add(mul(x, x), 1)));
export const sinhOp = unary("sinh", Math.sinh, (dy, x) => mul(dy, cosh(x)));
export const coshOp = unary("cosh", Math.cosh, (dy, x) => mul(dy, sinh(x)));
// d asinh = 1 / sqrt(x^2 + 1)
export const asinhOp = unary("asinh", Math.asinh, (dy, x) => mul(dy, rsqrt(add(mul(x, x), 1))));
// d acosh = 1 / sqrt(x^2 - 1)
export const acoshOp = unary("acosh", Math.acosh, (dy, x) => mul(dy, rsqrt(sub(mul(x, x), 1))));
// d atanh = 1 / (1 - x^2)
export const atanhOp = unary("atanh", Math.atanh, (dy, x) => div(dy, sub(1, mul(x, x))));

export const tan = (x: Tensor): Tensor => apply(tanOp, [x], {});
export const asin = (x: Tensor): Tensor => apply(asinOp, [x], {});
export const acos = (x: Tensor): Tensor => apply(acosOp, [x], {});
export const atan = (x: Tensor): Tensor => apply(atanOp, [x], {});
export const sinh = (x: Tensor): Tensor => apply(sinhOp, [x], {});
export const cosh = (x: Tensor): Tensor => apply(coshOp, [x], {});
export const asinh = (x: Tensor): Tensor => apply(asinhOp, [x], {});
export const acosh = (x: Tensor): Tensor => apply(acoshOp, [x], {});
export const atanh = (x: Tensor): Tensor => apply(atanhOp, [x], {});
