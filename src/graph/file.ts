/**
 * A graph in one file: a safetensors file whose metadata holds the graph's text.
 */

import { readSafetensors, writeSafetensors } from "../data/safetensors.ts";
import { FileFormatError, GraphError } from "../errors.ts";
import { Parameter } from "../tensor/tensor.ts";
import { GraphModule } from "./graph-module.ts";
import { parseGraph } from "./parse.ts";
import { printGraph } from "./print.ts";
import { verify } from "./verify.ts";

const TEXT_KEY = "fewbit.graph";
const PARAMETERS_KEY = "fewbit.parameters";
const TRAINING_KEY = "fewbit.training";

/**
 * The bytes of a saved graph: its text and tensors.
 * @throws GraphError for graphs that still call modules (observers): convert them first.
 */
export function saveGraph(module: GraphModule): Uint8Array {
  const { graph } = module;
  if (graph.modules.size > 0) {
    throw new GraphError(
      `graph ${graph.name}`,
      { modules: [...graph.modules.keys()] },
      "a graph that calls modules cannot be saved as text",
      "Convert it first, or save its stateDict()",
    );
  }
  const parameters = [...graph.attributes].filter(([, tensor]) => tensor instanceof Parameter).map(([name]) => name);
  return writeSafetensors(graph.attributes, {
    [TEXT_KEY]: printGraph(graph),
    [PARAMETERS_KEY]: JSON.stringify(parameters),
    [TRAINING_KEY]: String(module.training),
  });
}

function parameterNames(text: string | undefined): ReadonlySet<string> {
  try {
    const names: unknown = JSON.parse(text ?? "[]");
    if (Array.isArray(names)) return new Set(names.map(String));
  } catch {
    // Falls through to the error below.
  }
  throw new FileFormatError("loadGraph", { key: PARAMETERS_KEY }, "the list of parameters is not JSON");
}

/** @throws FileFormatError, GraphError when the bytes are not a saved graph. */
export function loadGraph(bytes: Uint8Array): GraphModule {
  const { tensors, metadata } = readSafetensors(bytes);
  const text = metadata[TEXT_KEY];
  if (text === undefined) throw new FileFormatError("loadGraph", {}, "the file holds tensors but no graph");
  const parameters = parameterNames(metadata[PARAMETERS_KEY]);
  const attributes = [...tensors].map(
    ([name, tensor]) => [name, parameters.has(name) ? new Parameter(tensor) : tensor] as const,
  );
  const graph = parseGraph(text, attributes);
  verify(graph);
  return new GraphModule(graph, metadata[TRAINING_KEY] === "true");
}
