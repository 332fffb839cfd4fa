/**
 * Decides for every call whether it runs in integers or in float, and puts stubs on the borders.
 *
 * Calls are asked in order, with the types their inputs will have: a unit that becomes an integer module gets integers;
 * sums, products and joins with an integer among their inputs go through a FloatFunctional; everything else runs on
 * integers if its integer form takes them, else between a DeQuantStub and, where integers are needed again, a
 * QuantStub. A value is quantized and dequantized at most once.
 */

import type { Graph, Node, Value } from "../../graph/graph.ts";
import { QFunctional } from "../../nn/quantized/functional-modules.ts";
import type { OpInput } from "../../ops/op.ts";
import { hasOp } from "../../ops/op.ts";
import { DeQuantStub, QuantStub } from "../../quantization/stubs.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { DryRun } from "../analysis/dry.ts";
import { asFloat, asInteger, callModule, callOperator, ghost } from "../analysis/replay.ts";
import { isValue } from "../analysis/trace.ts";
import { below, lastName, parentOf } from "./edits.ts";
import type { Edit, Owner, Owners } from "./edits.ts";
import { FunctionalCall } from "./functional-call.ts";
import type { FunctionalMethod } from "./functional-call.ts";
import { replaceByCall } from "./own-modules.ts";

/** Operators that become calls of a FloatFunctional: on tensors, and with a number. */
const functionals: Readonly<Record<string, { tensors?: FunctionalMethod; scalar?: FunctionalMethod }>> = {
  add: { tensors: "add", scalar: "addScalar" },
  mul: { tensors: "mul", scalar: "mulScalar" },
  matmul: { tensors: "matmul" },
  cat: { tensors: "cat" },
};

/** A stub and what it stands behind; which readers it serves is known at the end. */
interface PlacedStub {
  readonly source: Value;
  readonly output: Value;
  readonly name: string;
  readonly className: string;
}

class Placer {
  private readonly made: Edit[] = [];
  private readonly stubs: PlacedStub[] = [];
  private readonly graph: Graph;
  private readonly dry: DryRun;
  private readonly owners: Owners;
  private readonly types = new Map<Value, Tensor>();
  private readonly quantized = new Map<Value, Value>();
  private readonly dequantized = new Map<Value, Value>();

  constructor(graph: Graph, dry: DryRun, owners: Owners) {
    this.graph = graph;
    this.dry = dry;
    this.owners = owners;
  }

  get edits(): Edit[] {
    return [...this.made, ...this.stubs.map((stub) => this.stubEdit(stub))];
  }

  run(): void {
    for (const node of [...this.graph.nodes]) {
      if (this.graph.nodes.includes(node)) this.visit(node);
    }
    this.graph.outputs = this.graph.outputs.map((value) => (isValue(value) ? this.asFloatValue(value) : value));
  }

  private visit(node: Node): void {
    if (node.kind === "input" || node.kind === "attribute") {
      for (const value of node.outputs) this.types.set(value, ghost(value.type!));
    } else if (node.kind === "module") this.visitUnit(node);
    else if (!this.tryFunctional(node)) this.visitOperator(node);
  }

  private inputsOf(node: Node): OpInput[] {
    return node.args.map((arg) => (isValue(arg) ? this.types.get(arg)! : arg));
  }

  private visitUnit(node: Node): void {
    const unit = this.dry.converted.get(node.target) ?? this.graph.modules.get(node.target)!;
    this.settle(node, (inputs) => callModule(unit, inputs), this.isSwapped(node));
  }

  /**
   * Whether an operator on a float that layers read as integers should read those integers too: its own integer form
   * then replaces a float computation, and its result need not be quantized.
   */
  private joinsIntegers(node: Node): boolean {
    const [value] = node.inputs;
    if (node.inputs.length !== 1 || !value || this.types.get(value)!.isQuantized) return false;
    const isRead = value.users.some((user) => user.kind === "module" && this.isSwapped(user));
    const integers = this.inputsOf(node).map((x) => (x instanceof Tensor && isFloat(x.dtype) ? asInteger(x) : x));
    return isRead && (attempt((x) => callOperator(node, x), integers)?.every((y) => y.isQuantized) ?? false);
  }

  private isSwapped({ target }: Node): boolean {
    const unit = this.dry.converted.get(target);
    return unit !== undefined && unit !== this.dry.prepared.get(target);
  }

  private visitOperator(node: Node): void {
    if (hasOp(node.target) && this.joinsIntegers(node)) this.feed(node, (value) => this.asIntegerValue(value));
    if (hasOp(node.target)) this.settle(node, (inputs) => callOperator(node, inputs), false);
    else this.settle(node, () => node.outputs.map((value) => ghost(value.type!)), false);
  }

  /** Tries inputs as they are, then as integers (units that become integer modules), then as floats. */
  private settle(node: Node, call: (inputs: readonly OpInput[]) => Tensor[], wantsIntegers: boolean): void {
    const inputs = this.inputsOf(node);
    const integers = inputs.map((x) => (x instanceof Tensor && isFloat(x.dtype) ? asInteger(x) : x));
    const floats = inputs.map((x) => (x instanceof Tensor ? asFloat(x) : x));
    const outputs = attempt(call, inputs) ?? (wantsIntegers ? attempt(call, integers) : null);
    if (outputs) {
      if (!attempt(call, inputs)) this.feed(node, (value) => this.asIntegerValue(value));
      this.take(node, outputs);
      return;
    }
    this.feed(node, (value) => this.asFloatValue(value));
    if (wantsIntegers) this.leaveFloat(node);
    this.take(node, attempt(call, floats) ?? node.outputs.map((value) => ghost(value.type!)));
  }

  /** A unit that no integers fit: it stays float. */
  private leaveFloat(node: Node): void {
    const module = this.graph.modules.get(node.target)!;
    module.qconfig = null;
    this.made.push({
      ...this.owners.of(""),
      kind: "float",
      location: node.source.location,
      declare: "",
      before: "",
      after: `model.${node.target}.qconfig = null;   // no integers fit it`,
    });
  }

  private take(node: Node, outputs: readonly Tensor[]): void {
    node.outputs.forEach((value, i) => this.types.set(value, outputs[i]!));
  }

  private feed(node: Node, form: (value: Value) => Value): void {
    this.graph.setArgs(
      node,
      node.args.map((arg) => (isValue(arg) ? form(arg) : arg)),
    );
  }

  /** Turns a sum, product or join with an integer among its inputs into a FloatFunctional's. */
  private tryFunctional(node: Node): boolean {
    const inputs = this.inputsOf(node);
    if (!inputs.some((x) => x instanceof Tensor && x.isQuantized)) return false;
    const scalar = inputs.find((x): x is number => typeof x === "number");
    const plain = functionals[node.target]?.[scalar === undefined ? "tensors" : "scalar"];
    if (!plain || inputs.some((x) => x === null)) return false;
    const relu = plain === "add" ? this.followingRelu(node) : null;
    const method = relu ? "addRelu" : plain;
    const call = new FunctionalCall(method, scalar ?? Number(node.attrs["dim"] ?? 0));
    const tried = new FunctionalCall(method, call.constant);
    tried.functional = new QFunctional();
    const outputs = attempt((x) => callModule(tried, x), inputs.filter((x) => x instanceof Tensor).map(asInteger));
    if (!outputs) return false;
    this.useFunctional(node, relu, call, outputs);
    return true;
  }

  private followingRelu(node: Node): Node | null {
    const [next] = node.users;
    if (!next || this.graph.useCount(node.output) !== 1) return null;
    const isModule = next.kind === "module" && this.graph.modules.get(next.target)?.constructor.name === "ReLU";
    return isModule || (next.kind === "operator" && next.target === "relu") ? next : null;
  }

  private useFunctional(node: Node, relu: Node | null, call: FunctionalCall, outputs: readonly Tensor[]): void {
    const owner = this.owners.of(node.source.path);
    const name = this.graph.freeAttributeName(below(owner, node.target));
    const written = writtenCall(node, call);
    const before = relu ? this.expressionOf(relu).replace("...", written) : written;
    this.graph.setArgs(node, node.inputs);
    const placed = replaceByCall(this.graph, node, name, call.train(false));
    this.feed(placed, (value) => this.asIntegerValue(value));
    this.take(placed, outputs);
    if (relu) {
      this.graph.replaceUses(relu.output, placed.output);
      this.graph.remove(relu);
    }
    const own = lastName(name);
    this.made.push({
      ...owner,
      kind: "functional",
      location: node.source.location,
      declare: `${own} = new FloatFunctional();`,
      before,
      after: `this.${own}.${call.method}${written.slice(written.indexOf("("))}`,
    });
  }

  private asIntegerValue(value: Value): Value {
    const type = this.types.get(value)!;
    if (type.isQuantized || !isFloat(type.dtype)) return value;
    const known = this.quantized.get(value);
    if (known) return known;
    const stub = this.stub("quant", value, new QuantStub(), asInteger(type));
    this.quantized.set(value, stub);
    return stub;
  }

  private asFloatValue(value: Value): Value {
    const type = this.types.get(value)!;
    if (!type.isQuantized) return value;
    const known = this.dequantized.get(value);
    if (known) return known;
    const stub = this.stub("dequant", value, new DeQuantStub(), asFloat(type));
    this.dequantized.set(value, stub);
    return stub;
  }

  /** The class in whose forward a node is called. */
  private ownerOf(node: Node): Owner {
    if (node.kind === "input") return this.owners.of("");
    return this.owners.of(node.kind === "module" ? parentOf(node.target) : node.source.path);
  }

  private stub(stem: string, value: Value, module: QuantStub | DeQuantStub, type: Tensor): Value {
    const name = this.graph.freeAttributeName(below(this.ownerOf(value.node), stem));
    this.graph.modules.set(name, module.train(false));
    const { source } = value.node;
    const node = this.graph.insertAfter(
      { kind: "module", target: name, args: [value], types: [value.type], source, name },
      value.node,
    );
    this.types.set(node.output, type);
    this.stubs.push({ source: value, output: node.output, name, className: module.constructor.name });
    return node.output;
  }

  /** How the source calls a node, arguments left out. */
  private expressionOf(node: Node): string {
    if (node.kind === "input") return node.output.name;
    if (node.kind !== "module") return `${node.target}(...)`;
    const module = this.graph.modules.get(node.target);
    if (module instanceof FunctionalCall) return `this.${lastName(node.target)}.${module.method}(...)`;
    return `${this.owners.expression(node.target)}.forward(...)`;
  }

  /** Readers that do not take what the stub gives; none when all do. */
  private isForAll({ source, output }: PlacedStub): boolean {
    return source.users.every((user) => user.outputs[0] === output) && !this.graph.outputs.includes(source);
  }

  private stubEdit(stub: PlacedStub): Edit {
    const { source, output, name, className } = stub;
    const { node } = source;
    const own = lastName(name);
    const expression = this.expressionOf(node);
    const common = { ...this.ownerOf(node), kind: "stub", declare: `${own} = new ${className}();` } as const;
    if (node.kind === "input" && this.isForAll(stub)) {
      const after = `${expression} = this.${own}.forward(${expression});   // first in forward`;
      return { ...common, location: "", before: "", after };
    }
    const readers = [...new Set(output.users.map((user) => lastName(user.target)))].join(", ");
    const note = this.isForAll(stub)
      ? ""
      : `   // as ${readers || "the model's output"} reads it; the others go on reading ${expression}`;
    const after = `this.${own}.forward(${expression})${note}`;
    return { ...common, location: node.source.location, before: expression, after };
  }
}

/** How the source writes a sum, product or join: `add(a, b)`, `mul(a, 0.5)`, `cat(parts, 1)`. */
function writtenCall({ target }: Node, { method, constant }: FunctionalCall): string {
  if (method === "cat") return `${target}(parts, ${constant})`;
  return method === "addScalar" || method === "mulScalar" ? `${target}(a, ${constant})` : `${target}(a, b)`;
}

/** The types a call gives, or null when it refuses its inputs. */
function attempt(call: (inputs: readonly OpInput[]) => Tensor[], inputs: readonly OpInput[]): Tensor[] | null {
  try {
    return call(inputs);
  } catch {
    return null;
  }
}

/** Places stubs and functionals in `graph`, in place. */
export function placeDomains(graph: Graph, dry: DryRun, owners: Owners): Edit[] {
  const placer = new Placer(graph, dry, owners);
  placer.run();
  return placer.edits;
}
