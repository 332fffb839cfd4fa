/** Inputs of zeros for a graph: where only types matter, as for what a graph compiles to. */

import { GraphError } from "../errors.ts";
import { allocate } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Graph } from "./graph.ts";

/** @throws GraphError for inputs whose shape the graph leaves open. */
export function zeroInputs(graph: Graph): Tensor[] {
  return graph.inputs.map(({ name, type }) => {
    if (!type) throw new GraphError(`graph ${graph.name}`, { input: name }, "the shape of an input is open");
    return new Tensor(type.dtype, type.shape, allocate(type.dtype, numel(type.shape)));
  });
}
