/**
 * The numeric debugger: the values of every node of two graphs of one model, side by side.
 * Source: torchao/quantization/pt2e/_numeric_debugger.py.
 */

import { ShapeError } from "../../errors.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { describe } from "../../graph/graph.ts";
import { dequantize } from "../../ops/quantize/native.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { OutputLogger } from "./loggers.ts";
import { computeCosineSimilarity, computeNormalizedL2Error, computeSqnr } from "./metrics.ts";
import { nodeKeys, numberNodes } from "./node-identity.ts";

const STEM = "numeric_logger";

/** Gives every computing node a number that prepare and convert keep. Optional: without, nodes are matched by module. */
export function generateNumericDebugHandle(model: GraphModule): void {
  numberNodes(model.graph);
}

/** A logger that knows its node. */
class NodeLogger extends OutputLogger {
  readonly key: string;
  readonly node: string;

  constructor(key: string, node: string) {
    super();
    this.key = key;
    this.node = node;
  }

  override forward(x: unknown): unknown {
    this.stats.tensor_val.push((x as Tensor).detach());
    return x;
  }
}

/** A copy of the graph that keeps the first output of every computing node each time it runs. */
export function prepareForPropagationComparison(model: GraphModule): GraphModule {
  const graph = model.graph.clone();
  for (const [node, key] of nodeKeys(graph)) {
    const value = node.outputs[0]!;
    const name = graph.freeAttributeName(STEM);
    graph.modules.set(name, new NodeLogger(key, describe(node)));
    const logger = graph.insertAfter(
      { kind: "module", target: name, args: [value], types: [value.type], source: node.source },
      node,
    );
    graph.replaceUses(value, logger.output, [logger]);
  }
  return new GraphModule(graph, model.training);
}

export interface NodeValues {
  /** The node as errors name it. */
  readonly node: string;
  /** One tensor a run. */
  readonly values: readonly Tensor[];
}

/** What the loggers kept, by the key that counterparts share. */
export function extractResultsFromLoggers(model: GraphModule): Map<string, NodeValues> {
  const loggers = [...model.graph.modules.values()].filter((module) => module instanceof NodeLogger);
  return new Map(loggers.map(({ key, node, stats }) => [key, { node, values: stats.tensor_val as Tensor[] }]));
}

/** Two values of one node and how far apart they are. The actual one is the signal, as in torchao. */
export class QuantizationComparisonResult {
  readonly actual: Tensor;
  readonly ref: Tensor;

  constructor(actual: Tensor, ref: Tensor) {
    this.actual = actual.isQuantized ? dequantize(actual) : actual;
    this.ref = ref.isQuantized ? dequantize(ref) : ref;
  }

  get sqnr(): number {
    return computeSqnr(this.actual, this.ref);
  }

  get cosine(): number {
    return computeCosineSimilarity(this.actual, this.ref);
  }

  get normalizedL2Error(): number {
    return computeNormalizedL2Error(this.actual, this.ref);
  }

  get mseLoss(): number {
    let sum = 0;
    this.actual.data.forEach((v, i) => (sum += (v - this.ref.data[i]!) ** 2));
    return sum / this.actual.numel;
  }

  loss(fn: (actual: Tensor, ref: Tensor) => number): number {
    return fn(this.actual, this.ref);
  }
}

export interface NodeAccuracySummary {
  readonly actualNode: string;
  readonly refNode: string;
  /** One a run. */
  readonly results: readonly QuantizationComparisonResult[];
}

/**
 * Every node both sides have, compared. Nodes that only one side has are left out.
 * @throws ShapeError naming both nodes when their values differ in shape.
 */
export function compareResults(
  refResults: ReadonlyMap<string, NodeValues>,
  actualResults: ReadonlyMap<string, NodeValues>,
): Map<string, NodeAccuracySummary> {
  const summaries = new Map<string, NodeAccuracySummary>();
  for (const [key, ref] of refResults) {
    const actual = actualResults.get(key);
    if (!actual) continue;
    const results = ref.values.slice(0, actual.values.length).map((value, i) => {
      const other = actual.values[i]!;
      if (sameShape(value.shape, other.shape)) return new QuantizationComparisonResult(other, value);
      throw new ShapeError(
        "compareResults",
        { ref: ref.node, actual: actual.node, shapes: [value.shape, other.shape] },
        "values of one node must have one shape",
      );
    });
    summaries.set(key, { actualNode: actual.node, refNode: ref.node, results });
  }
  return summaries;
}
