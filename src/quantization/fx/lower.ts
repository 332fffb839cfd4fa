/**
 * Lowering: dequantize → float operator → quantize becomes one integer operator, rule by rule, longest patterns first.
 *
 * Layers, sums and products are lowered where their settings ask for it; activations and copies wherever they stand
 * between integers. What has no rule keeps its float operator between dequantize and quantize.
 * Source: torch/ao/quantization/fx/_lower_to_native_backend.py.
 */

import type { Graph } from "../../graph/graph.ts";
import { constantFolding } from "../../graph/passes/cleanup.ts";
import { rewritePass, runPasses } from "../../graph/rewrite.ts";
import type { Pass, Rule } from "../../graph/rewrite.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { copyRules } from "./lower-copies.ts";
import { dynamicRules } from "./lower-dynamic.ts";
import { functionRules } from "./lower-functions.ts";
import { weightedRules } from "./lower-weighted.ts";
import { convTransposedScheme } from "./lower-checks.ts";

const QUANTIZE = /^quantizePer(Tensor|Channel)$/;

/** Weights of operators, quantized now and stored; other stored tensors are left to be quantized when they run. */
function foldWeights(graph: Graph): void {
  const isWeight = (value: { readonly node: { readonly target: string } }): boolean => weighted.has(value.node.target);
  const readers = new Set(
    graph.nodes
      .filter((node) => isWeight({ node }))
      .flatMap((node) => node.inputs.slice(1, 2).map((value) => value.node.args[0])),
  );
  constantFolding((node) => QUANTIZE.test(node.target) && readers.has(node.outputs[0]), "_packed_weight").run(graph);
}

const weighted = new Set([
  "linear",
  "conv1d",
  "conv2d",
  "conv3d",
  "convTranspose1d",
  "convTranspose2d",
  "convTranspose3d",
]);

const foldQuantizedWeights: Pass = { name: "fold-quantized-weights", run: foldWeights };

/** All rules in the order they are tried. */
export function loweringRules(engine: QEngine): readonly Rule[] {
  return [...weightedRules(engine), ...functionRules, ...copyRules, ...dynamicRules(engine)];
}

/** Replaces quantize and dequantize patterns of a graph by integer operators, in place. */
export function lowerToIntegers(graph: Graph, engine: QEngine): void {
  runPasses(graph, [
    foldQuantizedWeights,
    convTransposedScheme,
    rewritePass("lower-to-integers", loweringRules(engine)),
  ]);
}
