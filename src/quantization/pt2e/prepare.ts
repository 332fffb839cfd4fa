/**
 * preparePt2e and prepareQatPt2e: a captured graph with observers or fake-quantizes in it, ready for calibration or
 * training. Source: torchao/quantization/pt2e/quantize_pt2e.py.
 */

import { QuantError, kindGiven } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { foldBatchNorm } from "../../graph/passes/fold-batch-norm.ts";
import { removeDead } from "../../graph/rewrite.ts";
import { dropDormantUpdates } from "../../graph/updates.ts";
import { verify } from "../../graph/verify.ts";
import { insertObservers } from "./insert.ts";
import { markPrepared } from "./prepared.ts";
import { rewriteBatchNorms } from "./qat-batch-norm.ts";
import { Quantizer } from "./quantizer.ts";

function copyOf(model: GraphModule, quantizer: Quantizer): Graph {
  if (!(quantizer instanceof Quantizer)) {
    throw new QuantError(
      "prepare",
      { quantizer: kindGiven(quantizer) },
      "the second argument must be a Quantizer",
      "For example new X86Quantizer().setGlobal(getRecommendedQuantizationConfig())",
    );
  }
  if (!(model instanceof GraphModule)) {
    throw new QuantError(
      "prepare",
      { given: kindGiven(model) },
      "needs a captured graph",
      "Call capture(model, exampleInputs) first",
    );
  }
  if ([...model.graph.modules.keys()].some((name) => name.startsWith("activation_post_process"))) {
    throw new QuantError("prepare", { graph: model.graph.name }, "the graph is already prepared");
  }
  return model.graph.clone();
}

function annotate(graph: Graph, quantizer: Quantizer, isQat: boolean): void {
  quantizer.transformForAnnotation(graph);
  quantizer.annotate(graph);
  quantizer.checkSettings(isQat);
  quantizer.validate(graph);
}

function finish(graph: Graph, quantizer: Quantizer, isQat: boolean): GraphModule {
  const callback = quantizer.prepareObsOrFqCallback.bind(quantizer, graph);
  insertObservers(graph, { isQat, callback });
  markPrepared(graph);
  verify(graph);
  return new GraphModule(graph, isQat);
}

/**
 * A copy of the graph with batch norms folded and observers where the quantizer asks for them.
 * Calibrate by calling it, then `convertPt2e`.
 * @throws QuantError for a module that is not a captured graph, no quantizer or one without settings,
 * configs made for training, and annotations that contradict one another.
 */
export function preparePt2e(model: GraphModule, quantizer: Quantizer): GraphModule {
  const graph = copyOf(model, quantizer);
  dropDormantUpdates(graph);
  foldBatchNorm.run(graph);
  removeDead(graph);
  annotate(graph, quantizer, false);
  return finish(graph, quantizer, false);
}

/**
 * A copy of the graph with fake-quantizes where the quantizer asks for them, for training: the copy is in train mode,
 * and convolutions with batch norms train the weight that inference will have (qat-batch-norm.ts). Train it, then
 * `convertPt2e`. Capture the model in train mode.
 * @throws QuantError as preparePt2e; configs must be made for training.
 */
export function prepareQatPt2e(model: GraphModule, quantizer: Quantizer): GraphModule {
  const graph = copyOf(model, quantizer);
  annotate(graph, quantizer, true);
  rewriteBatchNorms(graph);
  return finish(graph, quantizer, true);
}
