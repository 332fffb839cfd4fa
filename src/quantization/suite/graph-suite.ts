/**
 * The numeric suite for graphs: weights and outputs of two graphs of one model, matched node by node.
 * Source: torch/ao/ns/_numeric_suite_fx.py. Results are PyTorch's nested dictionaries, keyed by the second model's
 * node names.
 */

import { QuantError } from "../../errors.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { dequantize } from "../../ops/quantize/native.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { nodeKeys, outputOf } from "./node-identity.ts";
import { NodeOutputLogger, entryOf } from "./node-loggers.ts";

/** One node's entry: what was kept, and where it comes from. */
export interface SuiteEntry {
  readonly type: "weight" | "node_output";
  readonly values: Tensor[];
  readonly ref_node_name: string;
  readonly ref_node_target_type: string;
  readonly fqn: string;
  /** The qconfig of a shadow. */
  readonly qconfig_str?: string;
  /** Results of comparisons, by name (extendLoggerResultsWithComparison). */
  comparisons?: Record<string, number[]>;
}

/** layer → kind → model name → entries. */
export type SuiteResults = Record<string, Record<string, Record<string, SuiteEntry[]>>>;

export interface NodePair {
  readonly name: string;
  readonly a: Node;
  readonly b: Node;
}

/** Nodes of b with their counterparts in a. @throws QuantError when no node has one. */
export function matchNodes(a: Graph, b: Graph): NodePair[] {
  const pairs = [...nodeKeys(b)].flatMap(([node, key]): NodePair[] => {
    const other = outputOf(node, key, a);
    return other ? [{ name: node.outputs[0]!.name, a: other, b: node }] : [];
  });
  if (pairs.length > 0) return pairs;
  throw new QuantError(
    "matchNodes",
    { a: a.name, b: b.name },
    "no node of one graph has a counterpart in the other",
    "Both must come from captures of the same model",
  );
}

/** The stored tensor a node multiplies by, through whatever quantizes it. */
function weightOf(graph: Graph, node: Node): Tensor | null {
  let at = node.args[1];
  while (at instanceof Value && graph.tensorOf(at) === null) at = at.node.args[0];
  return at instanceof Value ? graph.tensorOf(at) : null;
}

/** Weights of the layers both graphs have. */
export function extractWeights(nameA: string, a: GraphModule, nameB: string, b: GraphModule): SuiteResults {
  const results: SuiteResults = {};
  for (const pair of matchNodes(a.graph, b.graph)) {
    const producer = pair.a.args[1] instanceof Value ? pair.a : (pair.a.inputs[0]?.node ?? pair.a);
    const [weightA, weightB] = [weightOf(a.graph, producer), weightOf(b.graph, pair.b)];
    if (!weightA || !weightB || weightA.numel !== weightB.numel) continue;
    results[pair.name] = {
      weight: { [nameA]: [entryOf("weight", producer, [weightA])], [nameB]: [entryOf("weight", pair.b, [weightB])] },
    };
  }
  return results;
}

/** Puts a logger behind a node; everything that reads the node then reads the logger. */
export function attachLogger(graph: Graph, node: Node, layer: string, model: string): void {
  const value = node.outputs[0]!;
  const name = graph.freeAttributeName("ns_logger");
  graph.modules.set(name, new NodeOutputLogger({ layer, model, node }));
  const logger = graph.insertAfter(
    { kind: "module", target: name, args: [value], types: [value.type], source: node.source },
    node,
  );
  graph.replaceUses(value, logger.output, [logger]);
}

/** Copies of both graphs that keep the outputs of the nodes they have in common. */
export function addLoggers(nameA: string, a: GraphModule, nameB: string, b: GraphModule): [GraphModule, GraphModule] {
  const copies = [a, b].map((model) => new GraphModule(model.graph.clone(), model.training)) as [
    GraphModule,
    GraphModule,
  ];
  for (const { name, a: nodeA, b: nodeB } of matchNodes(copies[0].graph, copies[1].graph)) {
    attachLogger(copies[0].graph, nodeA, name, nameA);
    attachLogger(copies[1].graph, nodeB, name, nameB);
  }
  return copies;
}

function loggersOf(model: GraphModule): NodeOutputLogger[] {
  return [...model.graph.modules.values()].filter((module) => module instanceof NodeOutputLogger);
}

/** What the loggers of both graphs kept. */
export function extractLoggerInfo(a: GraphModule, b: GraphModule): SuiteResults {
  return infoOfLoggers([a, b]);
}

export function infoOfLoggers(models: readonly GraphModule[]): SuiteResults {
  const results: SuiteResults = {};
  for (const { layer, model, entry } of models.flatMap(loggersOf)) {
    ((results[layer] ??= {})[entry.type] ??= {})[model] = [entry];
  }
  return results;
}

/** Adds `fn(a, b)` for each pair of values to the entries of `modelB`, under `comparisonName`. */
export function extendLoggerResultsWithComparison(
  results: SuiteResults,
  modelA: string,
  modelB: string,
  fn: (a: Tensor, b: Tensor) => number,
  comparisonName: string,
): void {
  for (const kinds of Object.values(results)) {
    for (const models of Object.values(kinds)) {
      const [ofA, ofB] = [models[modelA], models[modelB]];
      ofB?.forEach((entry, i) => {
        const other = ofA?.[i];
        if (!other) return;
        const own = (entry.comparisons ??= {});
        own[comparisonName] = entry.values.map((value, k) => fn(asFloat(other.values[k]!), asFloat(value)));
      });
    }
  }
}

function asFloat(tensor: Tensor): Tensor {
  return tensor.isQuantized ? dequantize(tensor) : tensor;
}

/** One line a layer and model: for people. */
export function printComparisons(results: SuiteResults): string {
  return Object.entries(results)
    .flatMap(([layer, kinds]) =>
      Object.entries(kinds).flatMap(([kind, models]) =>
        Object.entries(models).flatMap(([model, entries]) =>
          entries.flatMap((entry) =>
            Object.entries(entry.comparisons ?? {}).map(
              ([name, numbers]) =>
                `${layer}  ${kind}  ${model}  ${entry.ref_node_target_type}  ${name} ${numbers.map((v) => v.toFixed(2)).join(" ")}`,
            ),
          ),
        ),
      ),
    )
    .join("\n");
}
