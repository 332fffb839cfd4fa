/**
 * What XNNPACK-style targets quantize, as rows: chains of operators that become one integer operator, and which of
 * their operands are quantized. Rows are tried in order, so longer chains stand before their parts.
 * Source: torchao/testing/pt2e/_xnnpack_quantizer_utils.py.
 */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { QuantizationAnnotation, annotate, annotationOf } from "./annotation.ts";
import type { NodeFilter } from "./filters.ts";
import { findSequentialPartitions, readCount } from "./partitions.ts";
import type { Link } from "./partitions.ts";
import { getBiasQspec, getInputActQspec, getOutputActQspec, getWeightQspec } from "./quantization-config.ts";
import type { QuantizationConfig } from "./quantization-config.ts";
import { SharedQuantizationSpec } from "./spec.ts";
import type { QSpec } from "./spec.ts";

/** Where a row may be applied. */
export interface Scope {
  readonly includes: NodeFilter;
  /** A setting by module name or type, not the global one. */
  readonly isNamed: boolean;
}

export type Row = (graph: Graph, config: QuantizationConfig, scope: Scope) => void;

const CONV: Link = ["conv1d", "conv2d"];
const CONV_TRANSPOSE: Link = ["convTranspose1d", "convTranspose2d"];
const LINEAR: Link = ["linear"];
const RELU: Link = ["relu"];
const BATCH_NORM: Link = ["batchNorm"];

/** Beyond this magnitude histograms of float32 values break down. */
const LARGEST_SCALAR = 3.4028235e15;

const isAnnotated = (node: Node): boolean => annotationOf(node) !== null;

/** Nodes inside a chain are read by the next one only. */
function isClosed(graph: Graph, chain: readonly Node[]): boolean {
  return chain.slice(0, -1).every((node) => readCount(graph, node) === 1);
}

interface WeightedRow {
  readonly links: readonly Link[];
  /** Stored operands belong to the pattern: a second layer with the same weight stays float. */
  readonly claimsWeights: boolean;
}

/**
 * A layer with weight and bias, and what follows it. torchao asks a setting's filter about the stored weights of a
 * fused chain too, and these belong to no module: under a setting by name or type, layer and relu are annotated one by
 * one, and the relu shares.
 */
function weighted({ links, claimsWeights }: WeightedRow): Row {
  return (graph, config, scope) => {
    for (const chain of findSequentialPartitions(graph, links)) {
      const head = chain[0]!;
      const stored = head.args.slice(1, 3).flatMap((arg) => (arg instanceof Value ? [arg.node] : []));
      const claimed = [...chain, ...(claimsWeights ? stored : [])];
      const fits = isClosed(graph, chain) && claimed.every((node) => !isAnnotated(node)) && chain.every(scope.includes);
      if (!fits || (scope.isNamed && chain.length > 1)) continue;
      annotateWeighted(chain, config);
      for (const node of stored) if (!isAnnotated(node)) annotate(node, new QuantizationAnnotation());
    }
  };
}

function annotateWeighted(chain: readonly Node[], config: QuantizationConfig): void {
  const head = chain[0]!;
  const specs = [getInputActQspec(config), getWeightQspec(config), getBiasQspec(config)];
  const inputs = head.args
    .slice(0, 3)
    .flatMap((arg, i): [Value, QSpec | null][] => (arg instanceof Value ? [[arg, specs[i]!]] : []));
  annotateEnds(chain, new Map(inputs), getOutputActQspec(config));
}

/** Input specs on the first node of a chain, the output spec on the last. */
function annotateEnds(
  chain: readonly Node[],
  inputQspecMap: ReadonlyMap<Value, QSpec | null>,
  outputQspec: QSpec | null,
): void {
  const [head, last] = [chain[0]!, chain.at(-1)!];
  if (head === last) return annotate(head, new QuantizationAnnotation({ inputQspecMap, outputQspec }));
  annotate(head, new QuantizationAnnotation({ inputQspecMap }));
  annotate(last, new QuantizationAnnotation({ outputQspec }));
}

/** Whether an operand can be observed: float32, and no scalar so large that histograms fail. */
function isObservable(graph: Graph, value: Value): boolean {
  const stored = graph.tensorOf(value);
  const large = stored?.numel === 1 && Math.abs(stored.item()) > LARGEST_SCALAR;
  return !large && (value.type === null || value.type.dtype === "float32");
}

/** Sums and products of two tensors, and what follows them. */
function binary(links: readonly Link[]): Row {
  return (graph, config, { includes }) => {
    for (const chain of findSequentialPartitions(graph, links)) {
      const operands = chain[0]!.inputs;
      const fits = isClosed(graph, chain) && chain.every((node) => !isAnnotated(node) && includes(node));
      if (!fits || !operands.every((value) => isObservable(graph, value))) continue;
      const spec = getInputActQspec(config);
      annotateEnds(chain, new Map(operands.map((value) => [value, spec])), getOutputActQspec(config));
    }
  };
}

/** The pool's output has its input's parameters; the input is observed if nothing before it is. */
const adaptiveAvgPool: Row = (graph, config, { includes }) => {
  for (const node of graph.nodes) {
    if (node.target !== "adaptiveAvgPool2d" || isAnnotated(node) || !includes(node)) continue;
    const [x] = node.inputs;
    const producer = x && annotationOf(x.node)?.outputQspec;
    const input = producer ? new SharedQuantizationSpec(x) : getInputActQspec(config);
    if (x)
      annotate(
        node,
        new QuantizationAnnotation({
          inputQspecMap: new Map([[x, input]]),
          outputQspec: new SharedQuantizationSpec([x, node]),
        }),
      );
  }
};

/** All parts and the whole have the first part's parameters. */
const cat: Row = (graph, config, { includes }) => {
  for (const node of graph.nodes) {
    if (node.target !== "cat" || isAnnotated(node) || !includes(node)) continue;
    const [first, ...others] = new Set(node.inputs);
    if (!first) continue;
    const shared = new SharedQuantizationSpec([first, node]);
    const inputs = new Map<Value, QSpec | null>([
      [first, getInputActQspec(config)],
      ...others.map((value) => [value, shared] as const),
    ]);
    annotate(node, new QuantizationAnnotation({ inputQspecMap: inputs, outputQspec: shared }));
  }
};

/** Nodes that one GRU layer's forward made, by its path. */
function gruParts(graph: Graph): Node[][] {
  const parts = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    const { moduleType, path } = node.source;
    if (moduleType !== "GRU" || node.kind !== "operator") continue;
    parts.set(path, [...(parts.get(path) ?? []), node]);
  }
  return [...parts.values()];
}

/**
 * A GRU runs in float between quantized ends: its input, its initial state if one is given, and its output are
 * quantized, and nothing inside is annotated. Stands first, because a captured GRU consists of linear operators.
 */
const gruIoOnly: Row = (graph, config, { includes }) => {
  for (const nodes of gruParts(graph)) {
    const own = new Set(nodes);
    if (nodes.some((node) => isAnnotated(node)) || !nodes.every(includes)) continue;
    const given = nodes
      .flatMap((node) => node.inputs)
      .filter(({ node }) => !own.has(node) && node.kind !== "attribute");
    const spec = getInputActQspec(config);
    for (const value of new Set(given)) {
      const reader = value.users.find((user) => own.has(user))!;
      annotate(reader, new QuantizationAnnotation({ inputQspecMap: new Map([[value, spec]]) }));
    }
    const output = nodes.find(
      (node) => graph.outputs.some((out) => out === node.outputs[0]) || node.users.some((user) => !own.has(user)),
    );
    if (output && !isAnnotated(output))
      annotate(output, new QuantizationAnnotation({ outputQspec: getOutputActQspec(config) }));
    for (const node of nodes) if (!isAnnotated(node)) annotate(node, new QuantizationAnnotation());
  }
};

/** Only for training: before inference batch norms are folded away. */
export const qatRows: readonly Row[] = [
  weighted({ links: [CONV, BATCH_NORM, RELU], claimsWeights: true }),
  weighted({ links: [CONV, BATCH_NORM], claimsWeights: true }),
  weighted({ links: [CONV_TRANSPOSE, BATCH_NORM, RELU], claimsWeights: true }),
  weighted({ links: [CONV_TRANSPOSE, BATCH_NORM], claimsWeights: true }),
];

export const staticRows: readonly Row[] = [
  gruIoOnly,
  weighted({ links: [LINEAR, RELU], claimsWeights: true }),
  weighted({ links: [LINEAR], claimsWeights: false }),
  weighted({ links: [CONV, RELU], claimsWeights: true }),
  weighted({ links: [CONV], claimsWeights: true }),
  weighted({ links: [CONV_TRANSPOSE, RELU], claimsWeights: true }),
  adaptiveAvgPool,
  binary([["add"], RELU]),
  binary([["add"]]),
  binary([["mul"], RELU]),
  binary([["mul"]]),
  cat,
];

export const dynamicRows: readonly Row[] = [weighted({ links: [LINEAR], claimsWeights: false })];
