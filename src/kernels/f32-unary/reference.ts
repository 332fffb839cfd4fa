/**
 * The specification of f32-unary: exact functions in double, rounded once, in the order of kinds.ts. f32_exponential, and what is
 * fitted of f32_unary, stay within EXP_BUDGET; the others round once after each of their operations.
 */

import { rint } from "../../tensor/rounding.ts";

/** A function and its parameters. */
export type UnaryReference = (v: number, a: number, b: number, c: number) => number;

const { fround } = Math;
const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
const softplus = (v: number): number => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));

/** 2 / sqrt(pi) times the sum of 2^n v^(2n+1) / (1 3 5 ... (2n+1)) e^(-v^2); 1 from 6 on. */
function erfOf(v: number): number {
  if (!(Math.abs(v) < 6)) return v === v ? Math.sign(v) : v;
  let [term, sum] = [v, v];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) sum += term *= (2 * v * v) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-v * v) * sum;
}

const gate = (v: number): number => Math.min(Math.max(fround(v + 3), 0), 6);

export const exponentialReferences: readonly UnaryReference[] = [
  sigmoid,
  (v) => v * sigmoid(v),
  Math.tanh,
  (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
  (v) => 0.5 * v * (1 + erfOf(v * Math.SQRT1_2)),
  Math.exp,
  (v, a, b, c) => (v > 0 ? v * a : Math.expm1(v * c) * b),
  (v) => v * Math.tanh(softplus(v)),
  (v, a, b) => (v * a > b ? v : softplus(v * a) / a),
  (v) => -softplus(-v),
];

export const simpleReferences: readonly UnaryReference[] = [
  (v) => gate(v) / 6,
  (v) => fround(v * gate(v)) / 6,
  (v, a) => (v < 0 ? v * a : v),
  (v) => -v,
  Math.abs,
  Math.sqrt,
  (v) => 1 / fround(Math.sqrt(v)),
  (v) => 1 / v,
  Math.floor,
  Math.ceil,
  Math.trunc,
  (v) => (rint(v) === 0 ? 0 * v : rint(v)),
  (v) => v * v,
  (v) => fround(v * v) * v,
  (v, a, b) => (v <= a ? b : v),
  (v) => v / fround(1 + Math.abs(v)),
];

/** The last of f32_unary. */
export const fittedReferences: readonly UnaryReference[] = [erfOf, Math.log];
