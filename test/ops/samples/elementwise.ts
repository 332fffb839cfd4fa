/** Samples of arithmetic, functions of one tensor, activations and choice. */

import * as ops from "../../../src/ops/index.ts";
import { binaryCrossEntropyOp } from "../../../src/ops/loss.ts";
import { apply } from "../../../src/ops/op.ts";
import { tensor } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { list, normal, sample, uniform } from "./sample.ts";
import type { Entry, Sample, SampleTable } from "./sample.ts";

type Unary = (x: Tensor) => Tensor;
type Binary = (a: Tensor | number, b: Tensor | number) => Tensor;

const anywhere = (f: Unary): Sample[] => [sample(f, normal([2, 5]))];
const positive = (f: Unary): Sample[] => [sample(f, uniform([7], 0.2, 3))];
/** Values on both sides of every knot of the function. */
const around = (f: Unary, ...knots: readonly number[]): Sample[] => [
  sample(f, list(...knots.flatMap((knot) => [knot - 0.7, knot - 0.01, knot + 0.01, knot + 0.6]))),
];

/** Same shapes, broadcasting both ways, a number on either side; operands in low..high. */
function pairs(f: Binary, low: number, high: number): Entry {
  return [
    sample((a, b) => f(a, b), uniform([2, 3], low, high, 1), uniform([2, 3], low, high, 2)),
    sample((a, b) => f(a, b), uniform([2, 1, 3], low, high, 3), uniform([2, 1], low, high, 4)),
    sample((a) => f(a, 1.7), uniform([4], low, high, 5)),
    sample((b) => f(1.7, b), uniform([4], low, high, 6)),
  ];
}

const condition = tensor([[true, false, true]]);

export const elementwiseSamples: SampleTable = {
  add: pairs(ops.add, -2, 2),
  sub: pairs(ops.sub, -2, 2),
  mul: pairs(ops.mul, -2, 2),
  div: pairs(ops.div, 0.5, 2),
  pow: [
    ...(pairs(ops.pow, 0.5, 2) as Sample[]),
    sample((a) => ops.pow(a, 3), normal([4])),
    sample((a) => ops.pow(a, 0), normal([4])),
  ],
  maximum: pairs(ops.maximum, -2, 2),
  minimum: pairs(ops.minimum, -2, 2),
  remainder: [sample((a, b) => ops.remainder(a, b), list(2.3, -1.2, 0.4), list(0.7, 0.9, -1.1))],
  where: [
    sample((a, b) => ops.where(condition, a, b), normal([2, 3], 1), normal([3], 2)),
    sample((a) => ops.where(condition, a, 2), normal([3])),
  ],

  neg: anywhere(ops.neg),
  abs: around(ops.abs, 0),
  sign: around(ops.sign, 0),
  exp: anywhere(ops.exp),
  expm1: anywhere(ops.expm1),
  log: positive(ops.log),
  log2: positive(ops.log2),
  log1p: positive(ops.log1p),
  sqrt: positive(ops.sqrt),
  rsqrt: positive(ops.rsqrt),
  reciprocal: positive(ops.reciprocal),
  sin: anywhere(ops.sin),
  cos: anywhere(ops.cos),
  tanh: anywhere(ops.tanh),
  tan: [sample(ops.tan, uniform([7], -1.2, 1.2))],
  asin: [sample(ops.asin, uniform([7], -0.9, 0.9))],
  acos: [sample(ops.acos, uniform([7], -0.9, 0.9))],
  atan: anywhere(ops.atan),
  sinh: anywhere(ops.sinh),
  cosh: anywhere(ops.cosh),
  asinh: anywhere(ops.asinh),
  acosh: [sample(ops.acosh, uniform([7], 1.2, 3))],
  atanh: [sample(ops.atanh, uniform([7], -0.9, 0.9))],
  erf: anywhere(ops.erf),
  floor: around(ops.floor, 0, 1),
  ceil: around(ops.ceil, 0, 1),
  trunc: around(ops.trunc, 1),
  round: around(ops.round, 0.5),
  cast: [sample((x) => ops.cast(x, "float32"), list(0.25, -1.5, 3.125))],

  relu: around(ops.relu, 0),
  relu6: around(ops.relu6, 0, 6),
  gate: { gradientOf: "relu6" },
  hardtanh: around((x) => ops.hardtanh(x, { minVal: -0.5, maxVal: 2 }), -0.5, 2),
  hardsigmoid: around(ops.hardsigmoid, -3, 3),
  hardswish: around(ops.hardswish, -3, 3),
  leakyRelu: around((x) => ops.leakyRelu(x, { negativeSlope: 0.2 }), 0),
  threshold: around((x) => ops.threshold(x, 0.5, -1), 0.5),
  prelu: [
    sample((x, w) => ops.prelu(x, w), normal([2, 3, 2]), list(0.1, 0.3, -0.2)),
    sample((x, w) => ops.prelu(x, w), normal([4]), list(0.25)),
  ],
  clamp: [
    ...around((x) => ops.clamp(x, -0.5, 0.75), -0.5, 0.75),
    ...around((x) => ops.clampMin(x, 0.5), 0.5),
    ...around((x) => ops.clampMax(x, 0.5), 0.5),
  ],

  sigmoid: anywhere(ops.sigmoid),
  logSigmoid: anywhere(ops.logSigmoid),
  softsign: anywhere(ops.softsign),
  silu: anywhere(ops.silu),
  mish: anywhere(ops.mish),
  elu: around((x) => ops.elu(x, { alpha: 0.3 }), 0),
  celu: around((x) => ops.celu(x, { alpha: 0.3 }), 0),
  selu: around(ops.selu, 0),
  softplus: [
    ...anywhere((x) => ops.softplus(x, { beta: 1.5 })),
    ...around((x) => ops.softplus(x, { beta: 2, threshold: 3 }), 1.5),
  ],
  gelu: [...anywhere(ops.gelu), ...anywhere((x) => ops.gelu(x, { approximate: "tanh" }))],
  softmax: [sample((x) => ops.softmax(x, -1), normal([2, 4])), sample((x) => ops.softmax(x, 0), normal([3, 2]))],
  logSoftmax: [
    sample((x) => ops.logSoftmax(x, -1), normal([2, 4])),
    sample((x) => ops.logSoftmax(x, 0), normal([3, 2])),
  ],
  binaryCrossEntropy: [
    sample((x, t) => apply(binaryCrossEntropyOp, [x, t], {}), uniform([5], 0.1, 0.9, 1), uniform([5], 0.1, 0.9, 2)),
  ],
};
