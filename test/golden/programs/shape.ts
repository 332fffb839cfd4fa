/**
 * Programs in a common form: what every node computes and from which nodes, numbered in the order in which a walk
 * back from the results meets them. Two programs with equal forms have the same nodes, edges and sharing, whatever
 * their names and the order of their stored tensors.
 */

import { Value } from "../../../src/graph/index.ts";
import type { Argument, Graph, Node } from "../../../src/graph/index.ts";
import type { GraphModule } from "../../../src/graph/index.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import type { Program, ProgramNode } from "./load.ts";
import { operatorsOf } from "./vocabulary.ts";

/** Numbers of a quantize, dequantize or choose node. */
export interface Parameters {
  readonly scale: readonly number[];
  readonly zeroPoint: readonly number[];
}

export interface Form {
  /** `#5 = linear(#2, #4, #0)`, one line a node. */
  readonly lines: readonly string[];
  /** Static quantization parameters, in the order of the lines. */
  readonly parameters: readonly Parameters[];
  /** Sum of the integers each quantize node or stored integer tensor gives for the test input, in that order. */
  readonly sums: readonly number[];
}

class Walk {
  readonly lines: string[] = [];
  readonly parameters: Parameters[] = [];
  readonly sums: number[] = [];
  private readonly numbers = new Map<unknown, number>();

  number(key: unknown, text: () => string): string {
    const known = this.numbers.get(key);
    if (known !== undefined) return `#${known}`;
    const line = text();
    const number = this.lines.length;
    this.numbers.set(key, number);
    this.lines.push(`#${number} = ${line}`);
    return `#${number}`;
  }
}

const list = (value: unknown): number[] => (value instanceof Tensor ? [...value.data] : [Number(value)]);
const range = (name: string, low: unknown, high: unknown, dtype: unknown): string => `${name}<${String(dtype)} ${String(low)}..${String(high)}>`;

// ---- PyTorch's programs

/** The nodes behind an argument: getitem and the like are looked through. */
function resolved(byName: ReadonlyMap<string, ProgramNode>, name: string): ProgramNode {
  const node = byName.get(name)!;
  return node.op === "getitem" ? resolved(byName, node.inputs[0]!) : node;
}

function visitGolden(node: ProgramNode, byName: ReadonlyMap<string, ProgramNode>, walk: Walk, groups: Map<number, number>): string {
  return walk.number(node.name, () => {
    const quantizes = /^(de)?quantize|^choose/.test(node.op);
    const names = quantizes ? node.inputs.slice(0, 1) : node.inputs;
    const inputs = names.map((name) => visitGolden(resolved(byName, name), byName, walk, groups));
    if (node.out?.sum !== undefined && (/^quantize/.test(node.op) || (node.op === "constant" && /^u?int(8|16|32)$/.test(node.out.dtype)))) walk.sums.push(node.out.sum);
    if (node.op === "constant") return `stored ${node.out!.dtype}[${node.out!.shape.join()}]`;
    if (node.op === "input") return `input ${[...byName.values()].filter(({ op }) => op === "input").indexOf(node)}`;
    if (node.op === "observer") {
      const group = groups.get(node.observer!) ?? groups.set(node.observer!, groups.size).get(node.observer!)!;
      return `${node.type} ${group} (${inputs.join()})`;
    }
    if (!quantizes) return `${operatorsOf(node).join("+")}(${inputs.join()})`;
    const args = node.args!;
    const isDynamic = node.inputs.length > 1;
    if (node.op !== "choose_qparams" && !isDynamic) walk.parameters.push({ scale: list(args["scale"] ?? args["scales"]), zeroPoint: list(args["zero_point"] ?? args["zero_points"]) });
    const axis = typeof args["axis"] === "number" ? ` axis ${args["axis"]}` : "";
    return `${range(node.op, args["quant_min"], args["quant_max"], args["dtype"])}${isDynamic ? " dynamic" : ""}${axis}(${inputs.join()})`;
  });
}

/** The common form of one of PyTorch's programs. */
export function formOfProgram(program: Program): Form {
  const byName = new Map(program.nodes.map((node) => [node.name, node]));
  const walk = new Walk();
  const groups = new Map<number, number>();
  const outputs = program.nodes.at(-1)!.inputs.map((name) => visitGolden(resolved(byName, name), byName, walk, groups));
  walk.lines.push(`return ${outputs.join()}`);
  return walk;
}

// ---- fewbit's programs

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** `decomposedQuantizePerTensor` → `quantize_per_tensor`; null for other operators. */
function quantizerName(target: string): string | null {
  const match = /^decomposed(Quantize|Dequantize|ChooseQParams)(.*)$/.exec(target);
  if (!match) return null;
  return match[1] === "ChooseQParams" ? "choose_qparams" : `${match[1]!.toLowerCase()}${snake(match[2]!)}`;
}

interface Context {
  readonly module: GraphModule;
  readonly walk: Walk;
  readonly groups: Map<unknown, number>;
  readonly sums: ReadonlyMap<Node, number>;
}

function visitOwn(node: Node, context: Context): string {
  const { module: { graph }, walk, groups, sums } = context; // prettier-ignore
  return walk.number(node, () => {
    const name = node.kind === "operator" ? quantizerName(node.target) : null;
    const values = name ? node.inputs.slice(0, 1) : [...new Set(node.inputs)];
    const inputs = values.map((value) => visitOwn(value.node, context));
    const stored = graph.tensorOf(node.outputs[0]!);
    const sum = stored && /^u?int(8|16|32)$/.test(stored.dtype) ? [...stored.data].reduce((total, q) => total + q, 0) : sums.get(node);
    if (sum !== undefined) walk.sums.push(sum);
    if (stored) return `stored ${stored.dtype}[${stored.shape.join()}]`;
    if (node.kind === "input") return `input ${graph.inputs.indexOf(node.output)}`;
    if (node.kind === "module") {
      const observer = graph.modules.get(node.target)!;
      const group = groups.get(observer) ?? groups.set(observer, groups.size).get(observer)!;
      return `${observer.constructor.name} ${group} (${inputs.join()})`;
    }
    if (!name) return `${node.target}(${inputs.join()})`;
    return quantizerLine(graph, node, name, inputs, walk);
  });
}

function quantizerLine(graph: Graph, node: Node, name: string, inputs: readonly string[], walk: Walk): string {
  const [, scale, zeroPoint] = node.args;
  const { quantMin, quantMax, dtype, axis } = node.attrs;
  const read = (arg: Argument | undefined): unknown => (arg instanceof Value ? graph.tensorOf(arg) : arg);
  const isDynamic = scale instanceof Value && graph.tensorOf(scale) === null;
  if (name !== "choose_qparams" && !isDynamic) walk.parameters.push({ scale: list(read(scale)), zeroPoint: list(read(zeroPoint)) });
  const at = typeof axis === "number" ? ` axis ${axis}` : "";
  return `${range(name, quantMin, quantMax, dtype)}${isDynamic ? " dynamic" : ""}${at}(${inputs.join()})`;
}

/** The common form of a graph; `sums` are those of its quantize nodes' integers. */
export function formOfGraph(module: GraphModule, sums: ReadonlyMap<Node, number> = new Map()): Form {
  const walk = new Walk();
  const context: Context = { module, walk, groups: new Map(), sums };
  const outputs = module.graph.outputs.map((value) => visitOwn((value as Value).node, context));
  walk.lines.push(`return ${outputs.join()}`);
  return walk;
}
