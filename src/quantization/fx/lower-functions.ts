/**
 * Lowering of sums, products, norms and activations: integer operators that requantize to given parameters, or whose
 * output has parameters of its own.
 */

import { any, literal, op } from "../../graph/match.ts";
import type { Match, Pattern } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Builder, Rule } from "../../graph/rewrite.ts";
import {
  quantizedAddOp,
  quantizedAddScalarOp,
  quantizedMulOp,
  quantizedMulScalarOp,
} from "../../ops/quantized/arithmetic.ts";
import { quantizedElu, quantizedHardswish, quantizedLeakyRelu } from "../../ops/quantized/activations.ts";
import type { OutputQParams } from "../../ops/quantized/common.ts";
import { quantizedMatmulOp, quantizedSoftmaxOp } from "../../ops/quantized/joins.ts";
import { quantizedBatchNorm, quantizedInstanceNorm, quantizedLayerNorm } from "../../ops/quantized/norms.ts";
import { quantizedPreluOp } from "../../ops/quantized/prelu.ts";
import { noGrad } from "../../tensor/context.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { observedOf } from "../pt2e/convert.ts";
import { dequantized, inner, outputOf, placedAs, quantized } from "./lower-parts.ts";
import { quantizeStored } from "./pairs.ts";
import { replay, replayCall, standIn } from "./replay.ts";
import { unitRecordOf } from "./units.ts";

const binaryOps = [
  ["add", quantizedAddOp, quantizedAddScalarOp],
  ["mul", quantizedMulOp, quantizedMulScalarOp],
] as const;

function binaryRules(): Rule[] {
  return binaryOps.flatMap(([name, pairOp, scalarOp]) =>
    [true, false].flatMap((relu) => {
      const [a, b, x, scalar] = [dequantized(), dequantized(), dequantized(), literal()];
      const pair = inner(name, a.pattern, b.pattern);
      const single = inner(name, x.pattern, scalar).commutative();
      const behind = (call: Pattern): Pattern => quantized(relu ? inner("relu", call) : call);
      const suffix = relu ? "-relu" : "";
      return [
        rule(`lower-${name}${suffix}`, behind(pair), (match, build) =>
          placedAs(
            build.call(pairOp, [match.arg(a.integers), match.arg(b.integers)], { ...outputOf(match), relu }),
            match.node(pair),
          ),
        ),
        rule(`lower-${name}-scalar${suffix}`, behind(single), (match, build) =>
          placedAs(
            build.call(scalarOp, [match.arg(x.integers)], { scalar: match.arg(scalar) as number, relu }),
            match.node(single),
          ),
        ),
      ];
    }),
  );
}

function matmulRule(): Rule {
  const [a, b] = [dequantized(), dequantized()];
  const product = inner("matmul", a.pattern, b.pattern);
  return rule("lower-matmul", quantized(product), (match, build) =>
    placedAs(
      build.call(quantizedMatmulOp, [match.arg(a.integers), match.arg(b.integers)], outputOf(match)),
      match.node(product),
    ),
  );
}

/** One activation in, stored tensors besides: what the integer form is, given the float node's attributes. */
type Form = (
  x: Tensor,
  output: OutputQParams,
  stored: readonly (Tensor | null)[],
  attrs: Readonly<Record<string, unknown>>,
) => Tensor;

const forms: Readonly<Record<string, Form>> = {
  elu: (x, output, _, { alpha }) => quantizedElu(x, { ...output, alpha: alpha as number }),
  leakyRelu: (x, output, _, { negativeSlope }) =>
    quantizedLeakyRelu(x, { ...output, negativeSlope: negativeSlope as number }),
  hardswish: (x, output) => quantizedHardswish(x, output),
  layerNorm: (x, output, [weight, bias], { normalizedShape, eps }) =>
    quantizedLayerNorm(x, normalizedShape as number[], {
      ...output,
      weight: weight ?? null,
      bias: bias ?? null,
      eps: eps as number,
    }),
  instanceNorm: (x, output, [weight, bias], { eps }) =>
    quantizedInstanceNorm(x, { ...output, weight: weight ?? null, bias: bias ?? null, eps: eps as number }),
};

function formRule(target: string, form: Form): Rule {
  const x = dequantized();
  const call = op(target, x.pattern).usedOnce();
  return rule(`lower-${target}`, quantized(call), (match, build) => {
    const node = match.node(call);
    const stored = node.args.slice(1).map((arg) => match.graph.tensorOf(arg));
    const result = replay(match.graph, build, () =>
      form(standIn(match.value(x.integers)), outputOf(match), stored, node.attrs),
    );
    return placedAs(result, node);
  });
}

/** Batch norms of two and three axes that no layer took in, with or without relu. */
function batchNormRule(relu: boolean): Rule {
  const x = dequantized();
  const norm = op("batchNorm", x.pattern)
    .usedOnce()
    .where((node) => node.attrs["training"] === false);
  return rule(
    relu ? "lower-batch-norm-relu" : "lower-batch-norm",
    quantized(relu ? op("relu", norm).usedOnce() : norm),
    (match, build) => {
      const node = match.node(norm);
      const [weight = null, bias = null, runningMean, runningVar] = node.args
        .slice(1)
        .map((arg) => match.graph.tensorOf(arg));
      const parts = { weight, bias, runningMean: runningMean!, runningVar: runningVar! };
      const options = { ...outputOf(match), eps: node.attrs["eps"] as number, relu };
      return placedAs(
        replay(match.graph, build, () => quantizedBatchNorm(standIn(match.value(x.integers)), parts, options)),
        node,
      );
    },
  );
}

/** The output's range is the operator's own; the quantize behind says the same and falls away. */
const FIXED = ["sigmoid", "tanh", "hardsigmoid"];

function fixedRule(): Rule {
  const x = dequantized();
  const call = op(FIXED, x.pattern).usedOnce();
  return rule("lower-fixed-range", quantized(call), (match, build) => {
    const node = match.node(call);
    return placedAs(replayCall(match.graph, build, node.target, [standIn(match.value(x.integers))], node.attrs), node);
  });
}

/** Only the layer: PyTorch's function has no pattern, so it stays float. */
function softmaxRule(): Rule {
  const x = dequantized();
  const call = op("softmax", x.pattern)
    .usedOnce()
    .where((node) => unitRecordOf(node)?.kind === "layer");
  return rule("lower-softmax", quantized(call), (match, build) => {
    const node = match.node(call);
    return placedAs(
      build.call(quantizedSoftmaxOp, [match.arg(x.integers)], { dim: node.attrs["dim"] as number, ...outputOf(match) }),
      node,
    );
  });
}

/** The slopes are quantized by the unit's weight observer. */
function preluWeight(match: Match, call: Pattern): Tensor | null {
  const node = match.node(call);
  const weight = match.graph.tensorOf(node.args[1]!);
  const observer = unitRecordOf(node)?.qconfig?.weight();
  const observed = observedOf(observer);
  if (!weight || !observer || !observed || observed.dtype !== "quint8") return null;
  noGrad(() => (observer as unknown as { forward(x: Tensor): unknown }).forward(weight.detach()));
  return quantizeStored(weight, observed, observed.calculateQParams());
}

function preluRule(): Rule {
  const [x, slope] = [dequantized(), any()];
  const call = inner("prelu", x.pattern, slope);
  return rule("lower-prelu", quantized(call), (match, build: Builder) => {
    const weight = preluWeight(match, call);
    if (!weight) return null;
    return placedAs(
      build.call(quantizedPreluOp, [match.arg(x.integers), build.constant(weight, "prelu_weight")], outputOf(match)),
      match.node(call),
    );
  });
}

export const functionRules: readonly Rule[] = [
  ...binaryRules(),
  matmulRule(),
  batchNormRule(true),
  batchNormRule(false),
  ...Object.entries(forms).map(([target, form]) => formRule(target, form)),
  fixedRule(),
  softmaxRule(),
  preluRule(),
];
