/**
 * Graph: the one form between a model and whatever runs it.
 *
 * A list of nodes in topological order. A node calls an operator (by name, see ops/op.ts), calls a module the
 * graph holds (an observer, a fake-quantize, an untraceable part), or stands for an input or a stored tensor.
 * Quantized graphs are the same thing with quantize and dequantize nodes in them. Nodes are changed only through
 * the graph, which keeps names unique and users right; passes work on a clone.
 */

import { GraphError } from "../errors.ts";
import { cloneTensor } from "../nn/clone.ts";
import type { AnyModule } from "../nn/module.ts";
import type { Attrs } from "../ops/op.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import type { TreeSpec } from "./tree.ts";

/** Where in the user's model a node came from. */
export interface Source {
  /** Dotted path of the innermost module whose forward made the call; "" for the root. */
  readonly path: string;
  /** Class name of that module. */
  readonly moduleType: string;
  /** The user's file and line, `model.ts:14`; empty when not known. */
  readonly location: string;
}

export const noSource: Source = { path: "", moduleType: "", location: "" };

export type NodeKind = "input" | "attribute" | "operator" | "module";

/** A type, or null for a value whose shape is known only when it runs (ONNX imports). */
export type ValueType = TensorType | null;

/** One result of a node. */
export class Value {
  readonly node: Node;
  readonly index: number;
  name: string;
  type: ValueType;
  /** Nodes that read this value, once a use; kept by the graph. */
  readonly users: Node[] = [];

  constructor(node: Node, index: number, name: string, type: ValueType) {
    this.node = node;
    this.index = index;
    this.name = name;
    this.type = type;
  }
}

/** What a node may read: a value, a number literal, or nothing (an optional input left out). */
export type Argument = Value | number | null;

export class Node {
  readonly kind: NodeKind;
  /** Operator name; for attributes and modules the dotted name of what is stored; for inputs the input's name. */
  readonly target: string;
  args: readonly Argument[];
  attrs: Attrs;
  readonly outputs: Value[] = [];
  source: Source;
  /** What passes attach to a node (annotations, debug handles); cloned with the graph, not printed. */
  readonly meta = new Map<string, unknown>();

  constructor(kind: NodeKind, target: string, args: readonly Argument[], attrs: Attrs, source: Source) {
    this.kind = kind;
    this.target = target;
    this.args = args;
    this.attrs = attrs;
    this.source = source;
  }

  /** The only output. @throws GraphError when there are several. */
  get output(): Value {
    if (this.outputs.length !== 1) {
      throw new GraphError(`node ${this.target}`, { outputs: this.outputs.length }, "does not have exactly one output");
    }
    return this.outputs[0]!;
  }

  /** Values among the arguments, in order. */
  get inputs(): Value[] {
    return this.args.filter((arg): arg is Value => arg instanceof Value);
  }

  /** Nodes that read any output, without repeats. */
  get users(): Node[] {
    return [...new Set(this.outputs.flatMap((value) => value.users))];
  }
}

export interface NodeSpec {
  readonly kind: NodeKind;
  readonly target: string;
  readonly args?: readonly Argument[];
  readonly attrs?: Attrs;
  readonly types: readonly ValueType[];
  /** Wished name of the first output; made unique. */
  readonly name?: string;
  readonly source?: Source;
}

/** A place that baked the example's batch size into the graph. */
export interface FixedBatch {
  readonly size: number;
  readonly reason: string;
  readonly location: string;
}

const DEFAULT_NAME = "value";
const PLAIN_NAME = /^[A-Za-z_]\w*$/;

export class Graph {
  name: string;
  readonly nodes: Node[] = [];
  /** What the graph returns, flattened. */
  outputs: readonly Argument[] = [];
  /** Shape of the nested containers the model takes and returns; null = plain tensors. */
  inputTree: TreeSpec | null = null;
  outputTree: TreeSpec | null = null;
  /** Buffers that get a new value when the graph has run (running statistics), by stored name. */
  readonly updates = new Map<string, Argument>();
  /** Why the graph only runs for the captured batch size; null when it runs for any. */
  fixedBatch: FixedBatch | null = null;
  /** Parameters, buffers and constants by dotted name. */
  readonly attributes = new Map<string, Tensor>();
  /** Modules that module nodes call, by dotted name. */
  readonly modules = new Map<string, AnyModule>();
  /** Class name of every module of the captured model, by path; not printed. */
  readonly moduleTypes = new Map<string, string>();
  /** Whether a name is taken. Free ones stay, as false: a set slows down where one name is taken and freed all the time. */
  private readonly names = new Map<string, boolean>();
  /** The lowest number that may be free, for each name that is taken. */
  private readonly suffixes = new Map<string, number>();

  constructor(name = "graph") {
    this.name = name;
  }

  get inputs(): Value[] {
    return this.nodes.filter((node) => node.kind === "input").map((node) => node.output);
  }

  /** Adds a node before `before`, or at the end. @throws GraphError for a foreign node. */
  insert(spec: NodeSpec, before: Node | null = null): Node {
    const node = new Node(spec.kind, spec.target, spec.args ?? [], spec.attrs ?? {}, spec.source ?? noSource);
    const wished = spec.name ?? spec.target;
    for (let i = 0; i < spec.types.length; i++) {
      const name = this.uniqueName(i === 0 ? wished : `${wished}_out${i}`);
      node.outputs.push(new Value(node, i, name, spec.types[i]!));
    }
    if (before) this.nodes.splice(this.indexOf(before), 0, node);
    else this.nodes.push(node);
    noteReads(node);
    return node;
  }

  /** Adds a node right after `after` (inputs and attributes included). */
  insertAfter(spec: NodeSpec, after: Node): Node {
    return this.insert(spec, this.nodes[this.indexOf(after) + 1] ?? null);
  }

  /** An `attribute` node for a stored tensor: the one there is, or a new one at the head. */
  attribute(name: string, tensor: Tensor, source: Source = noSource): Value {
    const existing = this.nodes.find((node) => node.kind === "attribute" && node.target === name);
    if (existing) return existing.output;
    this.attributes.set(name, tensor);
    const firstOther = this.nodes.find((node) => node.kind !== "input" && node.kind !== "attribute") ?? null;
    const { dtype, shape, qparams } = tensor;
    const type: TensorType = qparams ? { dtype, shape, qparams } : { dtype, shape };
    return this.insert(
      { kind: "attribute", target: name, types: [type], name: name.replaceAll(".", "_"), source },
      firstOther,
    ).output;
  }

  /** The stored tensor an attribute value stands for, or null. */
  tensorOf(value: Argument): Tensor | null {
    if (!(value instanceof Value) || value.node.kind !== "attribute") return null;
    return this.attributes.get(value.node.target) ?? null;
  }

  /** Changes what a node reads. */
  setArgs(node: Node, args: readonly Argument[]): void {
    forgetReads(node);
    node.args = args;
    noteReads(node);
  }

  /** Makes everything that reads `from` read `to`, except nodes in `except`. */
  replaceUses(from: Value, to: Argument, except: readonly Node[] = []): void {
    for (const user of from.users.slice()) {
      // A user that reads the value several times is noted as often, and changed once.
      if (except.includes(user) || !user.args.includes(from)) continue;
      this.setArgs(
        user,
        user.args.map((arg) => (arg === from ? to : arg)),
      );
    }
    this.outputs = this.outputs.map((output) => (output === from ? to : output));
    for (const [name, value] of this.updates) if (value === from) this.updates.set(name, to);
  }

  /** Removes a node nobody reads. @throws GraphError when it is still read. */
  remove(node: Node): void {
    const at = this.indexOf(node);
    if (node.outputs.some((value) => this.useCount(value) > 0)) {
      const reader = node.users[0];
      throw new GraphError(
        "Graph.remove",
        { node: describe(node), readBy: reader ? describe(reader) : "return" },
        "a node that is still read cannot be removed",
      );
    }
    forgetReads(node);
    for (const output of node.outputs) this.freeName(output.name);
    this.nodes.splice(at, 1);
  }

  /** Position of a node. @throws GraphError for a node of another graph. */
  indexOf(node: Node): number {
    const at = this.nodes.indexOf(node);
    if (at < 0)
      throw new GraphError("Graph", { node: describe(node), graph: this.name }, "the node is not in this graph");
    return at;
  }

  /** Times a value is read, by nodes and by the return. */
  useCount(value: Value): number {
    let count = value.users.length;
    for (let i = 0; i < this.outputs.length; i++) if (this.outputs[i] === value) count++;
    if (this.updates.size > 0) for (const update of this.updates.values()) if (update === value) count++;
    return count;
  }

  /** Drops stored tensors and modules no node names. */
  collectGarbage(): void {
    const attributes = new Set(this.updates.keys());
    const modules = new Set<string>();
    for (const { kind, target } of this.nodes) {
      if (kind === "attribute") attributes.add(target);
      else if (kind === "module") modules.add(target);
    }
    for (const name of this.attributes.keys()) if (!attributes.has(name)) this.attributes.delete(name);
    for (const name of this.modules.keys()) if (!modules.has(name)) this.modules.delete(name);
  }

  /** A free dotted name for a stored tensor or module, `stem_0`, `stem_1`, ... */
  freeAttributeName(stem: string): string {
    for (let i = 0; ; i++) {
      const name = `${stem}_${i}`;
      if (!this.attributes.has(name) && !this.modules.has(name)) return name;
    }
  }

  /** A copy with its own nodes that shares tensors and modules, and where each value and node went. */
  cloneWithMap(): { graph: Graph; values: Map<Value, Value>; nodes: Map<Node, Node> } {
    const graph = new Graph(this.name);
    const values = new Map<Value, Value>();
    const nodes = new Map<Node, Node>();
    const mapped = (arg: Argument): Argument => (arg instanceof Value ? values.get(arg)! : arg);
    for (const node of this.nodes) {
      const { kind, target, attrs, source } = node;
      const types = node.outputs.map((value) => value.type);
      const name = node.outputs[0]?.name ?? target;
      const copy = graph.insert({ kind, target, attrs, source, types, name, args: node.args.map(mapped) });
      node.outputs.forEach((value, i) => {
        graph.rename(copy.outputs[i]!, value.name);
        values.set(value, copy.outputs[i]!);
      });
      for (const [key, value] of node.meta) copy.meta.set(key, value);
      nodes.set(node, copy);
    }
    graph.outputs = this.outputs.map(mapped);
    for (const [name, value] of this.updates) graph.updates.set(name, mapped(value));
    graph.inputTree = this.inputTree;
    graph.outputTree = this.outputTree;
    graph.fixedBatch = this.fixedBatch;
    for (const [name, tensor] of this.attributes) graph.attributes.set(name, tensor);
    for (const [name, module] of this.modules) graph.modules.set(name, module);
    for (const [path, type] of this.moduleTypes) graph.moduleTypes.set(path, type);
    return { graph, values, nodes };
  }

  /** A deep copy: nodes, tensors and modules; what was one tensor or module stays one. */
  clone(): Graph {
    const { graph } = this.cloneWithMap();
    const copies = new Map<object, object>();
    const once = <T extends object>(item: T, copy: (item: T) => T): T => {
      const done = (copies.get(item) as T | undefined) ?? copy(item);
      copies.set(item, done);
      return done;
    };
    for (const [name, tensor] of this.attributes) graph.attributes.set(name, once(tensor, cloneTensor));
    for (const [name, module] of this.modules)
      graph.modules.set(
        name,
        once(module, (item) => item.clone()),
      );
    return graph;
  }

  /** Gives a value a name of its own. */
  rename(value: Value, name: string): void {
    if (value.name === name) return;
    this.freeName(value.name);
    value.name = this.uniqueName(name);
  }

  private freeName(name: string): void {
    this.names.set(name, false);
    const at = name.lastIndexOf("_");
    const stem = name.slice(0, Math.max(at, 0));
    const number = Number(name.slice(at + 1));
    if (number < (this.suffixes.get(stem) ?? 0)) this.suffixes.set(stem, Math.max(1, number));
  }

  private uniqueName(wished: string): string {
    const stem = PLAIN_NAME.test(wished)
      ? wished
      : wished.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(?=\d)/, "_") || DEFAULT_NAME;
    let name = stem;
    if (this.names.get(stem)) {
      let next = this.suffixes.get(stem) ?? 1;
      while (this.names.get(`${stem}_${next}`)) next++;
      this.suffixes.set(stem, next + 1);
      name = `${stem}_${next}`;
    }
    this.names.set(name, true);
    return name;
  }
}

/** Adds a node to the users of what it reads. */
function noteReads(node: Node): void {
  const { args } = node;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg instanceof Value) arg.users.push(node);
  }
}

function forgetReads(node: Node): void {
  const { args } = node;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg instanceof Value) arg.users.splice(arg.users.indexOf(node), 1);
  }
}

/** Operators of other libraries have a dotted name (`onnx.Foo`): graphs carry them even when nothing here can run them. */
export function isForeign(node: Node): boolean {
  return node.kind === "operator" && (node.meta.has("opaque") || node.target.includes("."));
}

/** `%conv2d = conv2d, layer1.conv, model.ts:14`: how errors name a node. */
export function describe(node: Node): string {
  const { path, location } = node.source;
  const name = node.outputs[0] ? `%${node.outputs[0].name} = ` : "";
  return [`${name}${node.target}`, path, location].filter((part) => part !== "").join(", ");
}
