/**
 * Convolutions with batch norms in quantization-aware training. What is fake-quantized is the weight that inference
 * will have, W k with k = gamma / sqrt(var + eps); the convolution's result is divided by k again, so that the batch
 * norm behind it still sees, and averages, what it would have seen:
 *
 *     training:   bn(conv(x, fq(W k)) / k + b)          inference:   conv(x, q(W k'), (b - mean) k' + beta)
 *
 * Done after annotation, so the operators added stay float. eps is the batch norm's own (PyTorch: always 1e-5).
 * Source: torchao/quantization/pt2e/qat_utils.py; _forward_approximate, torch/ao/nn/intrinsic/qat/modules/conv_fused.py.
 */

import { QuantError } from "../../errors.ts";
import { Value, describe } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { any, literal, oneOf, op, optionalConstant } from "../../graph/match.ts";
import { constant } from "../../graph/match.ts";
import type { Match } from "../../graph/match.ts";
import { foldedParameters } from "../../graph/passes/fold-batch-norm.ts";
import { Builder, rewritePass, rule } from "../../graph/rewrite.ts";
import type { Pass, Rewrite } from "../../graph/rewrite.ts";
import { addOp, divOp, mulOp } from "../../ops/arithmetic.ts";
import { reshapeOp } from "../../ops/shape.ts";
import { sqrtOp } from "../../ops/unary.ts";
import { QuantizationAnnotation, annotate, annotationOf, moveReferences } from "./annotation.ts";

const CONV = ["conv1d", "conv2d", "conv3d"];
const CONV_TRANSPOSE = ["convTranspose1d", "convTranspose2d", "convTranspose3d"];

/** Axis of a weight's output channels; transposed ones are [in, out / groups, ...]. */
function weightAxis({ target }: Node): number {
  return CONV_TRANSPOSE.includes(target) ? 1 : 0;
}

/** -1 at one axis, 1 elsewhere. */
function along(axis: number, rank: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1));
}

/** The batch norm that alone reads a convolution whose weight is annotated; null for others. */
function normBehind(graph: Graph, conv: Node): Node | null {
  if (conv.kind !== "operator" || ![...CONV, ...CONV_TRANSPOSE].includes(conv.target)) return null;
  const [weight, reader] = [conv.args[1], conv.output.users[0]];
  const isNorm = reader?.target === "batchNorm" && reader.args[0] === conv.output && graph.useCount(conv.output) === 1;
  const groups = conv.attrs["groups"];
  if (!isNorm || !reader.args[4] || (weightAxis(conv) === 1 && groups !== 1)) return null;
  return weight instanceof Value && annotationOf(conv)?.inputQspecMap.get(weight) ? reader : null;
}

/** The convolution's annotation with its weight spec on the scaled weight, and all references to that edge with it. */
function moveAnnotation(graph: Graph, conv: Node, from: Value, to: Value, bias: Argument): void {
  const annotation = annotationOf(conv)!;
  const { inputQspecMap, outputQspec, allowImplicitSharing } = annotation;
  if (bias instanceof Value && inputQspecMap.get(bias)) {
    throw new QuantError(
      "prepareQatPt2e",
      { node: describe(conv) },
      "the bias of a convolution with a batch norm cannot be quantized in training",
    );
  }
  const inputs = [...inputQspecMap]
    .filter(([value]) => value !== bias)
    .map(([value, spec]) => [value === from ? to : value, spec] as const);
  annotate(conv, new QuantizationAnnotation({ inputQspecMap: new Map(inputs), outputQspec, allowImplicitSharing }));
  moveReferences(graph, [from, conv], [to, conv]);
}

function rewriteNorm(graph: Graph, conv: Node, norm: Node): void {
  const [x, weight, bias = null] = conv.args as [Value, Value, Argument | undefined];
  const [, gamma, , , variance] = norm.args;
  const rank = weight.type!.shape.length;
  const before = new Builder(graph, conv);
  const deviation = before.call(sqrtOp, [before.call(addOp, [variance!, norm.attrs["eps"] as number])]);
  const k = before.call(divOp, [gamma ?? 1, deviation]);
  const scaled = before.call(mulOp, [weight, before.call(reshapeOp, [k], { shape: along(weightAxis(conv), rank) })]);
  graph.setArgs(conv, [x, scaled, null]);
  moveAnnotation(graph, conv, weight, scaled, bias);
  const behind = new Builder(graph, norm);
  const shape = along(1, rank);
  const result = behind.call(divOp, [conv.output, behind.call(reshapeOp, [k], { shape })]);
  const biased = bias === null ? result : behind.call(addOp, [result, behind.call(reshapeOp, [bias], { shape })]);
  graph.setArgs(
    norm,
    norm.args.map((arg, i) => (i === 0 ? biased : arg)),
  );
}

/** Rewrites every annotated convolution with a batch norm for training. @throws QuantError for a quantized bias. */
export function rewriteBatchNorms(graph: Graph): void {
  for (const node of [...graph.nodes]) {
    const norm = normBehind(graph, node);
    if (norm) rewriteNorm(graph, node, norm);
  }
}

const weight = constant();
const [gamma, beta, bias] = [optionalConstant(), optionalConstant(), optionalConstant()];
const [mean, variance] = [constant(), constant()];
const [scale, zeroPoint] = [any(), any()];
const x = any();
const factor = op("div", any(), op("sqrt", op("add", variance, literal())));
const scaled = op("mul", weight, op("reshape", factor));
const quantize = op(
  ["decomposedQuantizePerTensor", "decomposedQuantizePerChannel", "quantizePerTensor", "quantizePerChannel"],
  scaled,
  scale,
  zeroPoint,
);
const dequantize = op(["decomposedDequantizePerTensor", "decomposedDequantizePerChannel", "dequantize"], quantize);
const conv = op([...CONV, ...CONV_TRANSPOSE], x, oneOf(dequantize, scaled));
const unscaled = op("div", conv, op("reshape", factor));
const biased = op("add", unscaled, op("reshape", bias));
const pattern = op("batchNorm", oneOf(biased, unscaled), gamma, beta, mean, variance).where(
  ({ attrs }) => attrs["training"] === false,
);

/** The weight's quantize and dequantize again, on the folded weight. */
function requantized(match: Match, build: Builder, folded: Value): Value {
  if (!match.has(dequantize)) return folded;
  const [q, dq] = [match.node(quantize), match.node(dequantize)];
  const integers = build.call(q.target, [folded, ...q.args.slice(1)], q.attrs);
  return build.call(dq.target, [integers, ...dq.args.slice(1)], dq.attrs);
}

const fold: Rewrite = (match, build) => {
  const layer = match.node(conv);
  const norm = {
    gamma: match.tensor(gamma),
    beta: match.tensor(beta),
    mean: match.tensor(mean)!,
    variance: match.tensor(variance)!,
    eps: match.root.attrs["eps"] as number,
  };
  const own = match.has(biased) ? match.tensor(bias) : null;
  const folded = foldedParameters(match.tensor(weight)!, own, norm, weightAxis(layer));
  const w = requantized(match, build, build.constant(folded.weight, "folded_weight"));
  return build.call(layer.target, [match.arg(x), w, build.constant(folded.bias, "folded_bias")], layer.attrs);
};

/** Turns the training form into a convolution with folded weight and bias; for graphs in eval mode. */
export const foldTrainedBatchNorms: Pass = rewritePass("fold-trained-batch-norms", [
  rule("fold-trained-batch-norm", pattern, fold),
]);
