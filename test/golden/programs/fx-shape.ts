/**
 * Programs as lists of lines that can be compared: what happens, in order, with names and bookkeeping left out.
 */

import type { Graph, Node } from "../../../src/graph/graph.ts";
import { observedOf } from "../../../src/quantization/pt2e/convert.ts";
import type { Program } from "./load.ts";
import { operatorsOf } from "./vocabulary.ts";

/** float32 numbers as text that agrees to about 2 units in the last place. */
function rounded(values: readonly number[]): string {
  return values.map((v) => Number(v.toPrecision(6))).join(" ");
}

function numbered(): (key: unknown) => number {
  const numbers = new Map<unknown, number>();
  return (key) => numbers.get(key) ?? numbers.set(key, numbers.size).get(key)!;
}

interface Statistics {
  readonly scale?: unknown;
  readonly zeroPoint?: unknown;
}

function numbersOf(value: unknown): number[] {
  if (value === undefined || value === null) return [];
  if (typeof value === "number") return [value];
  return Array.from((value as { readonly data: ArrayLike<number> }).data);
}

function line(id: number, type: string, { scale, zeroPoint }: Statistics): string {
  return `observer ${id} ${type} ${rounded(numbersOf(scale))} / ${numbersOf(zeroPoint).join(" ")}`;
}

export function goldenPrepared(program: Program): string[] {
  const number = numbered();
  return program.nodes.flatMap((node) => {
    if (node.observer === undefined) return operatorsOf(node).map((op) => wholeModules[op] ?? op);
    const observer = program.observers![node.observer]!;
    if (observer.class === "_InputEqualizationObserver") return ["InputEqualizationObserver"];
    return [line(number(node.observer), observer.class, observer.statistics)];
  });
}

/** Modules that both graphs call as a whole. */
const wholeModules: Readonly<Record<string, string>> = {
  lstm: "LSTM",
  gru: "GRU",
  lstmCell: "LSTMCell",
  gruCell: "GRUCell",
  rnnCell: "RNNCell",
  gate: "Gate",
  observedScale: "ObservedScale",
  graphModule: "ObservedGraphModule",
};

/** Nodes in order, with what is done to stored tensors right before their first reader, as PyTorch writes it. */
export function inReadingOrder(graph: Graph): Node[] {
  const ofStored = (node: Node): boolean => {
    const [from] = node.inputs;
    if (!from || node.kind === "input" || node.kind === "attribute" || node.inputs.length > 1) return false;
    return from.node.kind === "attribute" || (node.target === "dequantize" && ofStored(from.node));
  };
  const written = new Set<Node>();
  const ordered: Node[] = [];
  const write = (node: Node): void => {
    for (const { node: from } of node.inputs) if (ofStored(from) && !written.has(from)) write(from);
    written.add(node);
    ordered.push(node);
  };
  for (const node of graph.nodes) {
    if (!ofStored(node)) write(node);
  }
  return ordered;
}

function moduleLine(graph: Graph, node: Node, number: (key: unknown) => number): string {
  const module = graph.modules.get(node.target)!;
  const observed = observedOf(module);
  if (!observed) return module.constructor.name;
  const hasQParams = !["PlaceholderObserver", "NoopObserver"].includes(module.constructor.name);
  return line(number(module), module.constructor.name, hasQParams ? observed.calculateQParams() : {});
}

export function ownPrepared(graph: Graph): string[] {
  const number = numbered();
  return inReadingOrder(graph).flatMap((node) => {
    if (node.kind === "operator") return [node.target];
    return node.kind === "module" ? [moduleLine(graph, node, number)] : [];
  });
}
