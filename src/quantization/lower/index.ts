/**
 * Lowering: dequantize → operator → quantize becomes the integer operator of src/ops/quantized.
 *
 * Each rule is a pair, what the graph says and what integers compute, with the derivation above it; chains then lose
 * the nodes between integer operators. What no rule matches stays in float between its dequantize and quantize.
 * Integer operators round as fbgemm does, so a lowered graph may differ from the graph by one step at ties; graphs
 * that run lowered, interpreted or compiled, agree bit for bit.
 */

import { commonSubexpressions, constantFolding } from "../../graph/passes/cleanup.ts";
import { value } from "../../graph/match.ts";
import { rewritePass, rule } from "../../graph/rewrite.ts";
import type { Pass } from "../../graph/rewrite.ts";
import { dequantizeOp } from "../../ops/quantize/native.ts";
import { activationRules } from "./activations.ts";
import { dynamicRules } from "./dynamic.ts";
import { asQuantized, dequantized, parametersOf } from "./edges.ts";
import { pairRules } from "./pairs.ts";
import { plainIntegerRules } from "./plain-integers.ts";
import { floatProductRules, productRules } from "./products.ts";
import { sharingRules } from "./sharing.ts";
import { weightOnlyRules } from "./weight-only.ts";

/** Weights that are quantized at every run are stored as integers. */
const storeQuantized: Pass = {
  ...constantFolding(({ target }) => /^decomposedQuantize/.test(target), "_frozen_param"),
  name: "store-quantized",
};

/** int32 biases that no integer operator took are stored as the floats they stand for. */
const storeBiases: Pass = {
  ...constantFolding(
    ({ target, attrs }) => /^decomposedDequantize/.test(target) && attrs["dtype"] === "int32",
    "_frozen_param",
  ),
  name: "store-biases",
};

const integerOperators = rewritePass("integer-operators", [
  ...productRules,
  ...pairRules,
  ...sharingRules,
  ...activationRules,
]);

const q = value();
const left = dequantized(q);

/** What is left of dequantize nodes reads quantized tensors: f32(f32(q - z) f32(s)) in both. Stored weights stay. */
const dequantize = rule("dequantize", left, (match, build) => {
  const { scale } = parametersOf(match.root);
  return match.graph.tensorOf(match.arg(q)) || !(scale > 0)
    ? null
    : build.call(dequantizeOp, [asQuantized(build, match.root)]);
});

/** The passes in order; for graphs without quantize and dequantize pairs they change nothing. */
export const lowerQuantized: readonly Pass[] = [
  storeQuantized,
  integerOperators,
  rewritePass("integer-products-of-floats", [...floatProductRules, ...dynamicRules]),
  storeBiases,
  rewritePass("weight-only-products", weightOnlyRules),
  rewritePass("dequantize-quantized", [dequantize]),
  rewritePass("join-integer-operators", plainIntegerRules),
  commonSubexpressions,
];
