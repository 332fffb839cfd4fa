/**
 * A check before lowering: what integer operators cannot express, found early and named.
 */

import { QuantError } from "../../errors.ts";
import { Value, describe } from "../../graph/graph.ts";
import type { Pass } from "../../graph/rewrite.ts";

/** Transposed convolutions have one scale for the whole weight. @throws QuantError for one a channel. */
export const convTransposedScheme: Pass = {
  name: "check-transposed-weights",
  run(graph) {
    for (const node of graph.nodes) {
      const [, weight] = node.args;
      if (!node.target.startsWith("convTranspose") || !(weight instanceof Value) || weight.node.target !== "dequantize")
        continue;
      if (weight.node.inputs[0]?.type?.qparams?.kind === "perTensor") continue;
      throw new QuantError(
        "convertFx",
        { node: describe(node) },
        "the weight of a transposed convolution must be quantized per tensor",
      );
    }
  },
};
