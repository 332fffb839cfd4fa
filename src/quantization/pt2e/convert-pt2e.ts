/**
 * convertPt2e: a calibrated (or trained) graph with quantize and dequantize nodes in place of observers.
 * Source: torchao/quantization/pt2e/quantize_pt2e.py.
 */

import { QuantError, kindGiven } from "../../errors.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { setMode } from "../../graph/mode.ts";
import { constantFolding } from "../../graph/passes/cleanup.ts";
import { runPasses } from "../../graph/rewrite.ts";
import type { Pass } from "../../graph/rewrite.ts";
import { dropDormantUpdates } from "../../graph/updates.ts";
import { decomposedPairs, replaceObservers } from "./convert.ts";
import type { ConvertOptions } from "./convert.ts";
import { DuplicateDQPass } from "./duplicate-dequantize.ts";
import { PortNodeMetaForQDQ } from "./port-node-meta.ts";
import { requirePrepared, unmarkPrepared } from "./prepared.ts";
import { foldTrainedBatchNorms } from "./qat-batch-norm.ts";
import { referenceRepresentation } from "./reference-representation.ts";

export interface ConvertPt2eOptions extends ConvertOptions {
  /** Store weights as integers instead of quantizing them at every run (default). */
  readonly foldQuantize?: boolean;
  /** Spell the integer arithmetic out in elementary operators (reference-representation.ts). */
  readonly useReferenceRepresentation?: boolean;
}

const QUANTIZE = /^decomposedQuantize/;

/** Quantize nodes on stored tensors, computed once. */
const foldQuantizedWeights: Pass = {
  ...constantFolding((node) => QUANTIZE.test(node.target), "_frozen_param"),
  name: "fold-quantized-weights",
};

const PREPARE_FIRST = "Call preparePt2e (or prepareQatPt2e) and calibrate first";

/**
 * A copy of a prepared graph with its observers turned into quantize and dequantize nodes, in eval mode, batch norms
 * that were trained with fake-quantizes folded.
 * @throws QuantError for a module that is no graph, a graph never prepared or converted already, and observers that saw nothing.
 */
export function convertPt2e(model: GraphModule, options: ConvertPt2eOptions = {}): GraphModule {
  if (!(model instanceof GraphModule)) {
    throw new QuantError("convertPt2e", { given: kindGiven(model) }, "needs a prepared graph", PREPARE_FIRST);
  }
  requirePrepared("convertPt2e", model.graph, PREPARE_FIRST);
  const { graph } = model.graph.cloneWithMap();
  unmarkPrepared(graph);
  setMode(graph, false);
  dropDormantUpdates(graph);
  replaceObservers(graph, decomposedPairs(options));
  const passes = [
    foldTrainedBatchNorms,
    DuplicateDQPass,
    PortNodeMetaForQDQ,
    ...(options.foldQuantize === false ? [] : [foldQuantizedWeights]),
    ...(options.useReferenceRepresentation ? referenceRepresentation : []),
  ];
  return new GraphModule(runPasses(graph, passes), false);
}
