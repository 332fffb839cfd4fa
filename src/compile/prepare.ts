/**
 * What is done to a graph before it is planned, whatever its input shapes: a clone is made ready for inference
 * and simplified by rules.
 */

import type { Graph } from "../graph/graph.ts";
import { commonSubexpressions, constantFolding, deadCode } from "../graph/passes/cleanup.ts";
import { foldBatchNorm } from "../graph/passes/fold-batch-norm.ts";
import type { Pass } from "../graph/rewrite.ts";
import { dropDormantUpdates } from "../graph/updates.ts";
import { lowerQuantized } from "../quantization/lower/index.ts";

/** What is made of stored tensors alone (parts of a packed weight, a mask, a first state quantized) is made once. */
const storedValues = constantFolding();

/** What simplifies a graph for inference. Tests verify the graph after each of them. */
export const inferencePasses: readonly Pass[] = [
  deadCode,
  foldBatchNorm,
  ...lowerQuantized,
  storedValues,
  commonSubexpressions,
];

/**
 * A copy of the graph, batch norms folded into convolutions, quantize and dequantize pairs lowered to integer
 * operators, and dead or repeated work removed. Tensors are shared. It is not verified: every plan infers all types
 * anew, and the first result should come soon.
 */
export function prepareGraph(graph: Graph): Graph {
  const copy = graph.cloneWithMap().graph;
  dropDormantUpdates(copy);
  for (const pass of inferencePasses) pass.run(copy);
  return copy;
}
