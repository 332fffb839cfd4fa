/**
 * The seam for methods that change a model around its quantization: SmoothQuant, AdaRound, GPTQ and their like are
 * passes, and nothing else has to know them. Cross-layer equalization and bias correction are passes as well.
 */

import type { Engine } from "../../engine/engine.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** What a pass may use. */
export interface PassContext {
  /** The float model, batch norms folded, as it was before the first pass. */
  readonly float: GraphModule;
  /** Where to compute; undefined: on the default engine. */
  readonly engine?: Engine | undefined;
  /** Some calibration batches, inputs in the order of the graph; empty when the method needs no data. */
  readonly samples: (count: number) => Promise<readonly (readonly Tensor[])[]>;
}

export interface QuantizePass {
  readonly name: string;
  /** Changes the float model before observers are inserted; returns the model to go on with. */
  beforeCalibration?(model: GraphModule, context: PassContext): GraphModule | Promise<GraphModule>;
  /** Changes the model with observers in it, when they have seen the data, before it is converted. */
  afterCalibration?(model: GraphModule, context: PassContext): GraphModule | Promise<GraphModule>;
  /** Changes the quantized model. */
  afterConversion?(model: GraphModule, context: PassContext): GraphModule | Promise<GraphModule>;
}
