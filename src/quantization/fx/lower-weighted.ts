/**
 * Lowering of convolutions and linear layers, with what is fused behind them.
 *
 *     quantize(relu(conv(dequantize(x), dequantize(w), b)))  →  quantizedConv(x, w, b, relu)
 */

import { any, op, optionalConstant } from "../../graph/match.ts";
import type { Pattern } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import { quantizedConvAddOp, quantizedConvOp } from "../../ops/quantized/conv.ts";
import { quantizedConvTransposeOp } from "../../ops/quantized/conv-transpose.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { quantizedEmbeddingBagOp, quantizedEmbeddingOp } from "../../ops/quantized/embedding.ts";
import { quantizedLinearActivationOp } from "../../ops/quantized/linear-activation.ts";
import { quantizedLinearOp } from "../../ops/quantized/linear.ts";
import { dequantized, dequantizedWeight, inner, outputOf, placedAs, quantized } from "./lower-parts.ts";

const CONV = ["conv1d", "conv2d", "conv3d"];
const CONV_TRANSPOSE = ["convTranspose1d", "convTranspose2d", "convTranspose3d"];

/** A layer and its parts, ready to stand in a pattern. */
function weightedCall(targets: string | readonly string[]): { x: Pattern; w: Pattern; b: Pattern; call: Pattern } {
  const [x, w, b] = [dequantized(), dequantizedWeight(), optionalConstant()];
  return { x: x.integers, w: w.integers, b, call: inner(targets, x.pattern, w.pattern, b) };
}

function convRule(engine: QEngine, relu: boolean): Rule {
  const { x, w, b, call } = weightedCall(CONV);
  return rule(relu ? "lower-conv-relu" : "lower-conv", quantized(relu ? inner("relu", call) : call), (match, build) => {
    const node = match.node(call);
    const attrs = { ...node.attrs, ...outputOf(match), relu, engine };
    return placedAs(build.call(quantizedConvOp, [match.arg(x), match.arg(w), match.arg(b)], attrs), node);
  });
}

function linearRule(engine: QEngine, relu: boolean): Rule {
  const { x, w, b, call } = weightedCall("linear");
  return rule(
    relu ? "lower-linear-relu" : "lower-linear",
    quantized(relu ? inner("relu", call) : call),
    (match, build) =>
      placedAs(
        build.call(quantizedLinearOp, [match.arg(x), match.arg(w), match.arg(b)], { ...outputOf(match), relu, engine }),
        match.node(call),
      ),
  );
}

function convTransposeRule(engine: QEngine): Rule {
  const { x, w, b, call } = weightedCall(CONV_TRANSPOSE);
  return rule("lower-conv-transpose", quantized(call), (match, build) => {
    const node = match.node(call);
    return placedAs(
      build.call(quantizedConvTransposeOp, [match.arg(x), match.arg(w), match.arg(b)], {
        ...node.attrs,
        ...outputOf(match),
        engine,
      }),
      node,
    );
  });
}

/** conv + something, which only oneDNN's backend observes as one. */
function convAddRule(engine: QEngine, relu: boolean): Rule {
  const { x, w, b, call } = weightedCall("conv2d");
  const other = dequantized();
  const sum = inner("add", call, other.pattern).commutative();
  return rule(
    relu ? "lower-conv-add-relu" : "lower-conv-add",
    quantized(relu ? inner("relu", sum) : sum),
    (match, build) => {
      const node = match.node(call);
      const args = [match.arg(x), match.arg(w), match.arg(b), match.arg(other.integers)];
      return placedAs(build.call(quantizedConvAddOp, args, { ...node.attrs, ...outputOf(match), relu, engine }), node);
    },
  );
}

/** linear → leaky relu or tanh, likewise oneDNN's. */
function linearActivationRule(activation: "leakyRelu" | "tanh"): Rule {
  const { x, w, b, call } = weightedCall("linear");
  const act = inner(activation, call);
  return rule(`lower-linear-${activation}`, quantized(act), (match, build) => {
    const negativeSlope = (match.node(act).attrs["negativeSlope"] as number | undefined) ?? 0;
    const attrs = { ...outputOf(match), activation, negativeSlope };
    return placedAs(
      build.call(quantizedLinearActivationOp, [match.arg(x), match.arg(w), match.arg(b)], attrs),
      match.node(call),
    );
  });
}

/** Embedding tables: the looked-up rows are float, so nothing follows. */
function embeddingRules(): Rule[] {
  const [table, ids] = [dequantizedWeight(), any()];
  const [bagTable, bagIds, offsets, sampleWeights] = [dequantizedWeight(), any(), any(), any()];
  const single = op("embedding", table.pattern, ids);
  const bag = op("embeddingBag", bagTable.pattern, bagIds, offsets, sampleWeights).where(
    ({ attrs }) => attrs["mode"] === "sum",
  );
  return [
    rule("lower-embedding", single, (match, build) =>
      placedAs(build.call(quantizedEmbeddingOp, [match.arg(table.integers), match.arg(ids)]), match.root),
    ),
    rule("lower-embedding-bag", bag, (match, build) => {
      const args = [match.arg(bagTable.integers), match.arg(bagIds), match.arg(offsets), match.arg(sampleWeights)];
      return placedAs(
        build.call(quantizedEmbeddingBagOp, args, {
          includeLastOffset: match.root.attrs["includeLastOffset"] === true,
        }),
        match.root,
      );
    }),
  ];
}

/** Longer chains stand before their parts. */
export function weightedRules(engine: QEngine): readonly Rule[] {
  return [
    convAddRule(engine, true),
    convAddRule(engine, false),
    convRule(engine, true),
    convRule(engine, false),
    linearRule(engine, true),
    linearActivationRule("leakyRelu"),
    linearActivationRule("tanh"),
    linearRule(engine, false),
    convTransposeRule(engine),
    ...embeddingRules(),
  ];
}
