/**
 * EmbeddingQuantizer: tables of embeddings as bytes, one scale and float zero point a row; nothing else.
 * Source: torchao/quantization/pt2e/quantizer/embedding_quantizer.py.
 */

import type { Graph } from "../../graph/graph.ts";
import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { PerChannelMinMaxObserver } from "../observers/min-max.ts";
import { QuantizationAnnotation, annotate, annotationOf } from "./annotation.ts";
import { Quantizer } from "./quantizer.ts";
import { QuantizationSpec } from "./spec.ts";

/** uint8 rows with float zero points. */
export const embeddingWeightSpec = new QuantizationSpec({
  dtype: "uint8",
  quantMin: 0,
  quantMax: 255,
  qscheme: "per_channel_affine_float_qparams",
  chAxis: 0,
  observerOrFakeQuantCtr: PerChannelMinMaxObserver.withArgs({ eps: EPS_2_12 }),
});

/** Operators that look up rows of a table, and where the table stands among their arguments. */
const TABLES: Readonly<Record<string, number>> = { embedding: 0, embeddingBag: 0 };

export class EmbeddingQuantizer extends Quantizer {
  override annotate(graph: Graph): void {
    for (const node of graph.nodes) {
      const at = node.kind === "operator" ? TABLES[node.target] : undefined;
      const table = at === undefined ? undefined : node.inputs[at];
      if (!table || annotationOf(node)) continue;
      annotate(node, new QuantizationAnnotation({ inputQspecMap: new Map([[table, embeddingWeightSpec]]) }));
    }
  }
}
