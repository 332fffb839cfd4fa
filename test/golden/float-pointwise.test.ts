/**
 * Elementwise operators, broadcasting arithmetic, softmax and prelu against PyTorch's vectors, forward and gradient,
 * special values included.
 */

import { describe, it } from "vitest";
import { hardsigmoid, hardswish, hardtanh, leakyRelu, prelu, relu, relu6 } from "../../src/ops/activation-linear.ts";
import { elu, gelu, sigmoid, silu } from "../../src/ops/activation-smooth.ts";
import type { GeluApproximation } from "../../src/ops/activation-smooth.ts";
import { logSoftmax, softmax } from "../../src/ops/activation-softmax.ts";
import { add, div, maximum, minimum, mul, pow, sub } from "../../src/ops/arithmetic.ts";
import { clamp } from "../../src/ops/clamp.ts";
import { dropout } from "../../src/ops/dropout.ts";
import { abs, exp, log, neg, sqrt, tanh } from "../../src/ops/unary.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { EXACT, numberAt, table, tensorAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import { checkOperator } from "./operators.ts";
import type { Call } from "./operators.ts";

/** Transcendental functions: PyTorch's vector code is within two float32 steps of the true value, as is ours. */
const FUNCTIONS: Budget = { absolute: 2e-7, relative: 6e-7 };
/** PyTorch's gelu adds a float32 erf to 1, which cancels for negative x. */
const CANCELLING: Budget = { absolute: 1e-6, relative: 6e-7 };
/** Gradients that are sums over broadcast axes, and products of such functions. */
const SUMS: Budget = { absolute: 1e-6, ofLargest: 1e-6 };

function unary(f: (x: Tensor, options: object) => Tensor): Call {
  return (inputs, attrs) => f(tensorAt(inputs, "x"), attrs);
}

function binary(f: (x: Tensor, other: Tensor) => Tensor): Call {
  return (inputs) => f(tensorAt(inputs, "x"), tensorAt(inputs, "other"));
}

const calls: Readonly<Record<string, readonly [Call, Budget]>> = {
  add: [
    (inputs, { alpha }) => add(tensorAt(inputs, "x"), typeof alpha === "number" ? mul(tensorAt(inputs, "other"), alpha) : tensorAt(inputs, "other")),
    SUMS,
  ],
  sub: [binary(sub), SUMS],
  mul: [binary(mul), SUMS],
  div: [binary(div), SUMS],
  maximum: [binary(maximum), SUMS],
  minimum: [binary(minimum), SUMS],
  neg: [unary((x) => neg(x)), EXACT],
  abs: [unary((x) => abs(x)), EXACT],
  relu: [unary((x) => relu(x)), EXACT],
  relu6: [unary((x) => relu6(x)), EXACT],
  hardtanh: [unary(hardtanh), EXACT],
  leakyRelu: [unary(leakyRelu), EXACT],
  hardsigmoid: [unary((x) => hardsigmoid(x)), FUNCTIONS],
  hardswish: [unary((x) => hardswish(x)), FUNCTIONS],
  exp: [unary((x) => exp(x)), FUNCTIONS],
  log: [unary((x) => log(x)), FUNCTIONS],
  sqrt: [unary((x) => sqrt(x)), FUNCTIONS],
  sigmoid: [unary((x) => sigmoid(x)), FUNCTIONS],
  tanh: [unary((x) => tanh(x)), FUNCTIONS],
  silu: [unary((x) => silu(x)), FUNCTIONS],
  gelu: [(inputs, attrs) => gelu(tensorAt(inputs, "x"), { approximate: attrs["approximate"] as GeluApproximation }), CANCELLING],
  elu: [unary(elu), FUNCTIONS],
  clamp: [(inputs, { min, max }) => clamp(tensorAt(inputs, "x"), min as number | null, max as number | null), EXACT],
  pow: [(inputs, attrs) => pow(tensorAt(inputs, "x"), numberAt(attrs, "exponent")), FUNCTIONS],
  prelu: [(inputs) => prelu(tensorAt(inputs, "x"), tensorAt(inputs, "weight")), SUMS],
  softmax: [(inputs, attrs) => softmax(tensorAt(inputs, "x"), numberAt(attrs, "dim")), SUMS],
  logSoftmax: [(inputs, attrs) => logSoftmax(tensorAt(inputs, "x"), numberAt(attrs, "dim")), SUMS],
  dropout: [unary(dropout), EXACT],
};

describe("pointwise operators", () => {
  it.each(table(loadGolden("float-pointwise").cases))("%s", (_, one) => checkOperator(one, ...calls[one.op]!));
});
