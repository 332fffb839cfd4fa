/** The model to quantize: read from wherever it is, checked, batch norms folded. */

import { OnnxError } from "../../errors.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { foldBatchNorm } from "../../graph/passes/fold-batch-norm.ts";
import { removeDead } from "../../graph/rewrite.ts";
import { dropDormantUpdates } from "../../graph/updates.ts";
import { wireSize } from "../../tensor/wire.ts";
import { importOnnx } from "../import.ts";
import type { OnnxInfo } from "../info.ts";
import type { OnnxSource, QuantizeOptions } from "./options.ts";

export interface LoadedModel {
  /** With batch norms folded, ready to be annotated. */
  readonly float: GraphModule;
  /** Came from an ONNX file, whose operator names its nodes carry. */
  readonly fromFile: boolean;
  /** Size of the file and those beside it, or of the graph's stored tensors. */
  readonly bytes: number;
}

function storedBytes({ graph }: GraphModule): number {
  return [...graph.attributes.values()].reduce((sum, { dtype, numel }) => sum + wireSize(dtype, numel), 0);
}

/** @throws OnnxError for files that cannot be read, and for models that are quantized already. */
export function loadModel(source: OnnxSource, options: QuantizeOptions): LoadedModel {
  const module = source instanceof GraphModule ? source : importOnnx(source, options.import ?? {});
  const graph = module.graph.cloneWithMap().graph;
  const quantized = graph.nodes.find(({ target }) => /quantize|QLinear/i.test(target));
  if (quantized)
    throw new OnnxError(
      "quantizeOnnx",
      { operator: quantized.target, name: quantized.outputs[0]?.name },
      "the model is quantized already",
      "Give the float model it was made from",
    );
  dropDormantUpdates(graph);
  foldBatchNorm.run(graph);
  removeDead(graph);
  const float = new GraphModule(graph);
  Object.assign(float.preserved, module.preserved);
  const info = module.preserved["onnx"] as OnnxInfo | undefined;
  return { float, fromFile: info !== undefined, bytes: info?.bytes ?? storedBytes(module) };
}
