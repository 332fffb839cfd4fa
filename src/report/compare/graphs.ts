/**
 * Nodes of graphs, of FX or PyTorch 2 Export, matched by where they come from or by debug handles.
 *
 * A quantized graph has its integers as separate nodes (quantize, dequantize), as one (quantizedConv), or as
 * fake-quantizes; a row's output is taken behind them, so that it is what the next layer reads.
 */

import type { GraphModule } from "../../graph/graph-module.ts";
import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { interpret } from "../../graph/interpret.ts";
import { foldBatchNorm } from "../../graph/passes/fold-batch-norm.ts";
import { removeDead } from "../../graph/rewrite.ts";
import { flattenTree } from "../../graph/tree.ts";
import { dropDormantUpdates } from "../../graph/updates.ts";
import { dispatch, findOp, hasOp } from "../../ops/op.ts";
import type { OpInput } from "../../ops/op.ts";
import { FakeQuantizeBase } from "../../quantization/fake-quantize/base.ts";
import { isQuantizing, nodeKeys, outputOf } from "../../quantization/suite/node-identity.ts";
import { noGrad } from "../../tensor/context.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { gridOf, gridOfModule, gridOfTensor, real } from "./grid.ts";
import type { Grid } from "./grid.ts";
import type { Comparator, Progress, RowStart } from "./rows.ts";

interface Pair {
  readonly row: RowStart;
  /** The float node; behind it, where the quantized one has a relu fused in, `last`. */
  readonly first: Node;
  readonly last: Node;
  readonly b: Node;
  readonly settled: Settled;
}

/** Where a quantized node's output is what others read, and the node that makes integers of it. */
interface Settled {
  readonly value: Value;
  readonly quantizer: Node | null;
}

/** Behind a fake-quantize, or behind quantize and dequantize; else the value itself. */
function settle(graph: Graph, value: Value): Settled {
  for (const user of value.users) {
    if (user.kind === "module" && graph.modules.get(user.target) instanceof FakeQuantizeBase)
      return { value: user.output, quantizer: user };
    if (!isQuantizing(user)) continue;
    const back = user.users.find((one) => /dequantize/i.test(one.target));
    return { value: back?.output ?? user.output, quantizer: user };
  }
  return { value, quantizer: null };
}

function isBatchNorm({ target }: Node): boolean {
  return target === "batchNorm";
}

/** The float graph, with batch norms folded where the quantized one has none. */
function alike(float: Graph, quantized: Graph): Graph {
  const graph = float.clone();
  if (!graph.nodes.some(isBatchNorm) || quantized.nodes.some(isBatchNorm)) return graph;
  dropDormantUpdates(graph);
  foldBatchNorm.run(graph);
  removeDead(graph);
  return graph;
}

function numberOf(value: Tensor | number | undefined): number | null {
  if (typeof value === "number") return value;
  return value?.numel === 1 ? value.item() : null;
}

class GraphRun {
  readonly values = new Map<Value, Tensor>();

  constructor(graph: Graph, inputs: readonly Tensor[]) {
    const onNode = (node: Node, outputs: readonly Tensor[]): void =>
      node.outputs.forEach((value, i) => this.values.set(value, outputs[i]!));
    noGrad(() => interpret(graph, inputs, { onNode }));
  }

  get(arg: Argument | undefined): Tensor | number | undefined {
    if (arg instanceof Value) return this.values.get(arg);
    return typeof arg === "number" ? arg : undefined;
  }
}

function gridBehind(graph: Graph, { value, quantizer }: Settled, run: GraphRun): Grid | null {
  if (!quantizer) return gridOfTensor(run.values.get(value)!);
  if (quantizer.kind === "module") return gridOfModule(graph.modules.get(quantizer.target));
  const stored = run.values.get(quantizer.outputs[0]!)!;
  if (stored.isQuantized) return gridOfTensor(stored);
  const [scale, zeroPoint] = [numberOf(run.get(quantizer.args[1])), numberOf(run.get(quantizer.args[2]))];
  const { quantMin, quantMax } = quantizer.attrs as { readonly quantMin?: number; readonly quantMax?: number };
  if (scale === null || quantMin === undefined || quantMax === undefined) return null;
  return gridOf(scale, zeroPoint ?? 0, quantMin, quantMax);
}

/** The float node on what the quantized one read, its own weights kept; null when the two read different things. */
function rerun(graph: Graph, { first, last, b }: Pair, run: GraphRun): Tensor | null {
  const read = (own: Argument, i: number): OpInput | undefined => {
    const stored = graph.tensorOf(own);
    if (stored) return stored;
    if (!(own instanceof Value)) return own;
    const theirs = run.get(b.args[i]);
    return theirs instanceof Tensor ? real(theirs) : theirs;
  };
  const inputs = first.args.map(read);
  if (!hasOp(first.target) || inputs.includes(undefined)) return null;
  try {
    return noGrad(() => {
      const [output] = dispatch(findOp(first.target), inputs as OpInput[], first.attrs);
      return first === last ? output! : dispatch(findOp(last.target), [output!], last.attrs)[0]!;
    });
  } catch {
    return null;
  }
}

/** Compares two graphs of one model. */
export class GraphComparator implements Comparator {
  private readonly float: Graph;
  private readonly quantized: Graph;
  private readonly pairs: readonly Pair[];
  private readonly alone: readonly RowStart[];

  constructor(float: GraphModule, quantized: GraphModule) {
    this.quantized = quantized.graph.clone();
    this.float = alike(float.graph, this.quantized);
    this.pairs = this.match();
    const matched = new Set(this.pairs.flatMap(({ first, last }) => [first, last]));
    this.alone = [...nodeKeys(this.float)].flatMap(([node]) => (matched.has(node) ? [] : [rowOf(node, node)]));
  }

  private match(): Pair[] {
    const keys = new Map([...nodeKeys(this.float)].map(([node, key]) => [key, node] as const));
    return [...nodeKeys(this.quantized)].flatMap(([b, key]): Pair[] => {
      const [first, last] = [keys.get(key), outputOf(b, key, this.float)];
      if (!first || !last) return [];
      return [{ row: rowOf(first, last), first, last, b, settled: settle(this.quantized, b.outputs[0]!) }];
    });
  }

  addBatch(inputs: readonly unknown[], progress: Progress): void {
    const { leaves } = flattenTree(inputs);
    for (const { row } of this.pairs) progress.expect(row);
    for (const row of this.alone) progress.expect(row);
    const [float, quantized] = [new GraphRun(this.float, leaves), new GraphRun(this.quantized, leaves)];
    for (const pair of this.pairs) {
      const expected = float.values.get(pair.last.outputs[0]!)!;
      const given = quantized.values.get(pair.settled.value)!;
      const alone = rerun(this.float, pair, quantized);
      const grid = gridBehind(this.quantized, pair.settled, quantized);
      progress.add(pair.row.key, pair.b.target, real(expected), real(given), alone, grid);
    }
  }
}

function rowOf(first: Node, last: Node): RowStart {
  const className = first === last ? first.target : `${first.target} + ${last.target}`;
  return { key: first.outputs[0]!.name, path: first.source.path, className };
}
