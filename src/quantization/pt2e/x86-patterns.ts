/**
 * What x86 targets with int8 dot products quantize, as rows: inputs and weights of products always, outputs only where
 * the next operator reads integers. The sum behind a product may be fused into it, reading its other side in int8
 * (convolution) or in float (linear layer).
 * Source: torchao/quantization/pt2e/quantizer/x86_inductor_quantizer.py.
 */

import { QuantError } from "../../errors.ts";
import { Value, describe } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { sameShape } from "../../tensor/shape.ts";
import { QuantizationAnnotation, annotate, annotationOf } from "./annotation.ts";
import { findSequentialPartitions, readCount } from "./partitions.ts";
import type { Link } from "./partitions.ts";
import { getBiasQspec, getInputActQspec, getOutputActQspec, getWeightQspec } from "./quantization-config.ts";
import type { QuantizationConfig } from "./quantization-config.ts";
import { isFlatten } from "./sharing-ops.ts";
import { SharedQuantizationSpec } from "./spec.ts";
import type { QSpec } from "./spec.ts";

/** A product and what is fused behind it. */
interface ProductRow {
  readonly links: readonly Link[];
  /** A sum in the chain: what its other operand is read as. */
  readonly sum?: "quantized" | "float";
  /** For training: the last node's output is observed as well. */
  readonly observesOutput?: boolean;
}

const CONV2D: Link = ["conv2d"];
const ADD: Link = ["add"];
const RELU: Link = ["relu"];
const BATCH_NORM: Link = ["batchNorm"];
const convActivations: readonly Link[] = [RELU, ["hardtanh"], ["hardswish"], ["relu6"], ["silu"]];

export const qatProducts: readonly ProductRow[] = [
  { links: [CONV2D, BATCH_NORM, ADD, RELU], sum: "quantized", observesOutput: true },
  { links: [CONV2D, BATCH_NORM, ADD], sum: "quantized", observesOutput: true },
  ...convActivations.map((link) => ({ links: [CONV2D, BATCH_NORM, link], observesOutput: true })),
  { links: [CONV2D, BATCH_NORM], observesOutput: true },
];

export const products: readonly ProductRow[] = [
  { links: [CONV2D, ADD, RELU], sum: "quantized" },
  { links: [CONV2D, ADD], sum: "quantized" },
  ...convActivations.map((link) => ({ links: [CONV2D, link] })),
  { links: [["conv1d"], RELU] },
  { links: [CONV2D] },
  { links: [["linear"], ADD, RELU], sum: "float" },
  { links: [["linear"], ADD], sum: "float" },
  { links: [["linear"], RELU] },
  { links: [["linear"], ["leakyRelu"]] },
  { links: [["linear"], ["tanh"]] },
  { links: [["linear"], ["gelu"]] },
  { links: [["linear"]] },
];

const MAX_POOL = "maxPool2d";
const integerOps = new Set([MAX_POOL, "cat", "avgPool2d", "adaptiveAvgPool2d"]);
const productOps = new Set(["conv1d", "conv2d", "linear", "mul"]);

/** Gives int8 for int8, and only then. */
function isIntegerOp(node: Node): boolean {
  return integerOps.has(node.target) || isFlatten(node);
}

/** Quantized without being asked for by name. */
export function isDefaultQuantizable(node: Node): boolean {
  return productOps.has(node.target) || isIntegerOp(node);
}

export function isQuantizable(node: Node): boolean {
  return isDefaultQuantizable(node) || node.target === "matmul";
}

/** Whether a setting applies to a pattern. */
export type PatternFilter = (nodes: readonly Node[]) => boolean;

/** Patterns hold one node that a setting by operator asks for. @throws QuantError when they hold several. */
export function exactlyOne(accepts: (node: Node) => boolean): PatternFilter {
  return (nodes) => {
    const found = nodes.filter(accepts);
    if (found.length <= 1) return found.length === 1;
    throw new QuantError(
      "X86Quantizer",
      { pattern: nodes.map(describe) },
      "a pattern holds several operators that a setting names",
    );
  };
}

/** Annotates by one setting after the other, remembering which nodes end a quantized pattern. */
export class X86Annotator {
  private readonly graph: Graph;
  private readonly ends = new Set<Node>();

  constructor(graph: Graph) {
    this.graph = graph;
  }

  /** Products first, then what can go on in integers behind them. A null config leaves the named nodes float. */
  apply(config: QuantizationConfig | null, filter: PatternFilter): void {
    for (const row of [...(config === null || config.isQat ? qatProducts : []), ...products])
      this.products(row, config, filter);
    for (const node of this.graph.nodes) if (node.target === "matmul") this.both(node, config, filter);
    for (const node of this.graph.nodes)
      if (node.target === "mul" && (config === null || ofOneShape(node))) this.both(node, config, filter);
    for (const node of this.graph.nodes) if (isIntegerOp(node)) this.propagate(node, config, filter);
  }

  /** The output of an integer operator has its first input's parameters. */
  shareOutputs(): void {
    for (const node of this.graph.nodes) {
      const annotation = isIntegerOp(node) && this.ends.has(node) ? annotationOf(node) : null;
      if (annotation) annotation.outputQspec = new SharedQuantizationSpec([node.inputs[0]!, node]);
    }
  }

  private isOpen(nodes: readonly Node[], filter: PatternFilter): boolean {
    return nodes.every((node) => annotationOf(node) === null) && filter(nodes);
  }

  private leaveFloat(nodes: readonly Node[]): void {
    for (const node of nodes) annotate(node, new QuantizationAnnotation());
  }

  private products(
    { links, sum, observesOutput }: ProductRow,
    config: QuantizationConfig | null,
    filter: PatternFilter,
  ): void {
    for (const chain of findSequentialPartitions(this.graph, links)) {
      const at = chain.findIndex(({ target }) => target === "add");
      const before = chain[at - 1];
      if (sum && (!before || readCount(this.graph, before) !== 1 || chain[at]!.inputs.length !== 2)) continue;
      if (!this.isOpen(chain, filter)) continue;
      this.leaveFloat(chain);
      if (config === null) continue;
      this.product(chain[0]!, config);
      if (sum === "quantized") {
        const other = chain[at]!.inputs.find((value) => value.node !== before)!;
        annotate(
          chain[at]!,
          new QuantizationAnnotation({ inputQspecMap: new Map([[other, getInputActQspec(config)]]) }),
        );
      }
      this.end(chain[chain.length - 1]!, observesOutput ? getOutputActQspec(config) : null);
    }
  }

  private product(node: Node, config: QuantizationConfig): void {
    const specs = [getInputActQspec(config), getWeightQspec(config), getBiasQspec(config)];
    const inputs = node.args
      .slice(0, 3)
      .flatMap((arg, i): [Value, QSpec | null][] => (arg instanceof Value ? [[arg, specs[i]!]] : []));
    annotate(node, new QuantizationAnnotation({ inputQspecMap: new Map(inputs) }));
  }

  private end(node: Node, outputQspec: QSpec | null): void {
    this.ends.add(node);
    annotationOf(node)!.outputQspec = outputQspec;
  }

  /** matmul and mul: both operands are read as integers. */
  private both(node: Node, config: QuantizationConfig | null, filter: PatternFilter): void {
    if (!this.isOpen([node], filter)) return;
    this.leaveFloat([node]);
    if (config) this.reads(node, new Map(node.inputs.map((value) => [value, getInputActQspec(config)])));
  }

  private reads(node: Node, inputQspecMap: ReadonlyMap<Value, QSpec | null>): void {
    annotate(node, new QuantizationAnnotation({ inputQspecMap }));
    this.ends.add(node);
  }

  private propagate(node: Node, config: QuantizationConfig | null, filter: PatternFilter): void {
    if (!this.isOpen([node], filter)) return;
    if (config === null) return this.leaveFloat([node]);
    const sources = [...new Set(node.inputs)];
    const asked = node.target === "cat" ? sources : sources.slice(0, 1);
    if (!asked.every((value) => this.ends.has(value.node))) return;
    if (isFlatten(node) && node.users.length > 0 && !node.users.some(isQuantizable)) return;
    const [first, ...others] = sources;
    const shared = new SharedQuantizationSpec([first!, node]);
    const rest = node.target === "cat" ? others.map((value) => [value, shared] as const) : [];
    this.reads(node, new Map<Value, QSpec | null>([[first!, getInputActQspec(config)], ...rest]));
  }
}

function ofOneShape({ inputs, args }: Node): boolean {
  const [a, b] = inputs;
  return args.length === 2 && !!a?.type && !!b?.type && sameShape(a.type.shape, b.type.shape);
}
