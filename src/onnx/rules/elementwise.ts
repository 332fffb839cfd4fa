/**
 * Elementwise operators: arithmetic, comparison, logic, bits and single functions.
 */

import { div, maximum, minimum, mul, add, pow, remainder, sub } from "../../ops/arithmetic.ts";
import { equal, greater, greaterEqual, less, lessEqual } from "../../ops/compare.ts";
import {
  bitwiseAnd,
  bitwiseOr,
  bitwiseXor,
  isnan,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
} from "../../ops/logical.ts";
import * as trig from "../../ops/trigonometric.ts";
import {
  abs,
  cast,
  ceil,
  cos,
  erf,
  exp,
  floor,
  log,
  neg,
  reciprocal,
  round,
  sign,
  sin,
  sqrt,
  tanh,
} from "../../ops/unary.ts";
import { where } from "../../ops/where.ts";
import { dtypeInfo, isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { floatsOf, fromDoubles } from "../../ops/loops.ts";
import { rule } from "../call.ts";
import type { Call, OnnxRule, OnnxRules } from "../call.ts";

function unary(f: (x: Tensor) => Tensor): OnnxRule {
  return rule((call) => f(call.input(0)));
}

function binary(f: (a: Tensor, b: Tensor) => Tensor): OnnxRule {
  return rule((call) => f(call.input(0), call.input(1)));
}

function variadic(f: (a: Tensor, b: Tensor) => Tensor): OnnxRule {
  return rule((call) => call.given.slice(1).reduce(f, call.input(0)));
}

/** Integers divide towards zero; what a division by zero gives is left open. */
function divide(call: Call): Tensor {
  const [a, b] = [call.input(0), call.input(1)];
  return isFloat(a.dtype) ? div(a, b) : call.zip(a, b, (x, y) => (y === 0 ? 0 : Math.trunc(x / y)));
}

function modulo(call: Call): Tensor {
  const [a, b] = [call.input(0), call.input(1)];
  if (call.int("fmod") === 0) return remainder(a, b);
  return call.zip(a, b, (x, y) => x % y);
}

/** The result has the dtype of the base. */
function power(call: Call): Tensor {
  const [a, b] = [call.input(0), call.input(1)];
  if (a.dtype === b.dtype && isFloat(a.dtype)) return pow(a, b);
  const wide: DType = "float64";
  return cast(pow(cast(a, wide), cast(b, wide)), a.dtype);
}

/** Counts outside of the dtype's bits, negative ones too, shift everything out. */
function shift(call: Call): Tensor {
  const [a, b] = [call.input(0), call.input(1)];
  const { bits } = dtypeInfo[a.dtype];
  const isOut = (y: number): boolean => y < 0 || y >= bits;
  if (call.string("direction") === "RIGHT")
    return call.zip(a, b, (x, y) => Math.floor(isOut(y) ? Math.sign(Math.min(x, 0)) : x / 2 ** y));
  return call.zip(a, b, (x, y) => (isOut(y) ? 0 : (x * 2 ** y) % 2 ** bits));
}

/** A function of one tensor that has no operator. */
function mapped(call: Call, f: (v: number) => number, dtype: DType = call.input(0).dtype): Tensor {
  const x = call.input(0);
  const type = { dtype, shape: x.shape };
  return call.native([type], () => [fromDoubles(type, Float64Array.from(floatsOf(x), f))])[0]!;
}

function isInfinite(call: Call): Tensor {
  const [negative, positive] = [call.int("detect_negative", 1) === 1, call.int("detect_positive", 1) === 1];
  return mapped(call, (v) => Number((positive && v === Infinity) || (negative && v === -Infinity)), "bool");
}

/** Complement within the dtype: all ones minus x, or minus one minus x. */
function complement(call: Call): Tensor {
  const { min, max } = dtypeInfo[call.input(0).dtype];
  return mapped(call, (v) => max + min - v);
}

function mean(call: Call): Tensor {
  return div(call.given.slice(1).reduce(add, call.input(0)), call.given.length);
}

function absolute(x: Tensor): Tensor {
  return dtypeInfo[x.dtype].min === 0 ? x : abs(x);
}

export const elementwiseRules: OnnxRules = {
  Abs: unary(absolute),
  Acos: unary(trig.acos),
  Acosh: unary(trig.acosh),
  Add: binary(add),
  And: binary(logicalAnd),
  Asin: unary(trig.asin),
  Asinh: unary(trig.asinh),
  Atan: unary(trig.atan),
  Atanh: unary(trig.atanh),
  BitShift: rule(shift),
  BitwiseAnd: binary(bitwiseAnd),
  BitwiseNot: rule(complement),
  BitwiseOr: binary(bitwiseOr),
  BitwiseXor: binary(bitwiseXor),
  Ceil: unary(ceil),
  Cos: unary(cos),
  Cosh: unary(trig.cosh),
  Div: rule(divide),
  Equal: binary(equal),
  Erf: unary(erf),
  Exp: unary(exp),
  Floor: unary(floor),
  Greater: binary(greater),
  GreaterOrEqual: binary(greaterEqual),
  Identity: unary((x) => x),
  IsInf: rule(isInfinite),
  IsNaN: unary(isnan),
  Less: binary(less),
  LessOrEqual: binary(lessEqual),
  Log: unary(log),
  Max: variadic(maximum),
  Mean: rule(mean),
  Min: variadic(minimum),
  Mod: rule(modulo),
  Mul: binary(mul),
  Neg: unary(neg),
  Not: unary(logicalNot),
  Or: binary(logicalOr),
  Pow: rule(power),
  Reciprocal: unary(reciprocal),
  Round: unary(round),
  Sign: unary(sign),
  Sin: unary(sin),
  Sinh: unary(trig.sinh),
  Sqrt: unary(sqrt),
  Sub: binary(sub),
  Sum: variadic(add),
  Tan: unary(trig.tan),
  Tanh: unary(tanh),
  Where: rule((call) => where(call.input(0), call.input(1), call.input(2))),
  Xor: binary(logicalXor),
};
