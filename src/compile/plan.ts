/**
 * The plan builder: walks a graph once, asks each operator's rule for steps, and keeps track of which forms of
 * each value exist. bind.ts places everything in memory.
 */

import type { Engine } from "../engine/engine.ts";
import { packerOf } from "../engine/pack.ts";
import { EngineError } from "../errors.ts";
import { Value, describe } from "../graph/graph.ts";
import type { Argument, Graph, Node } from "../graph/graph.ts";
import { NO_BORDER, covers, widerBorder } from "../kernels/qconv/image.ts";
import type { Border } from "../kernels/qconv/image.ts";
import { storageFlip } from "../kernels/qgemm/variant.ts";
import type { MachineChoice } from "../kernels/qgemm/weights.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { Buffer } from "./buffer.ts";
import type { Home } from "./buffer.ts";
import { elementOf, flat, imageOf, unsignedZeroPoint } from "./form.ts";
import type { Element, Form } from "./form.ts";
import { clampOf, unlimited } from "./steps/clamps.ts";
import type { Range } from "./steps/clamps.ts";

/** Where things are, when a step is bound. */
export interface Place {
  readonly engine: Engine;
  /** Address of a buffer. */
  readonly at: (buffer: Buffer) => number;
  /** Memory for a step's constants, kept as long as the executable. */
  readonly constant: (bytes: number) => number;
  /** The tensor a host buffer holds while the plan runs. */
  readonly host: (buffer: Buffer) => { tensor: Tensor | null };
}

export type Precision = "int8" | "float" | "copy" | "reference";

export interface StepSpec {
  readonly node: Node;
  /** The kernel, or what the step does. */
  readonly kernel: string;
  readonly precision: Precision;
  /** Why this kernel and not a faster one. */
  readonly why: string;
  /** Multiplications and additions. */
  readonly operations: number;
  readonly reads: readonly Buffer[];
  readonly writes: readonly Buffer[];
  bind(place: Place): () => void;
}

/**
 * What a rule may ask of a value it reads. `any` is either form where kernels can work on it; `host` a tensor;
 * `anywhere` whatever there is, a tensor if there is one.
 */
export type FormRequest =
  { readonly kind: "flat" | "any" | "host" | "anywhere" } | { readonly kind: "image"; readonly border?: Border };

/** What the choice of kernels depends on besides the node. */
export interface Machine {
  readonly engine: Engine;
  readonly allowWinograd: boolean;
}

export interface StepRule {
  /** The border an operator needs around an image it reads; null where it reads no image. */
  border?(node: Node, argument: number, machine: Machine): Border | null;
  /** Adds the steps of a node; a string says why there is no kernel for this one. */
  emit(node: Node, plan: PlanBuilder): string | void;
}

/** How modules inside a graph are compiled: observers, where a graph may be calibrated. */
export interface ModuleRule extends StepRule {
  /** Whether a module gives what it gets. */
  passesOn(graph: Graph, node: Node): boolean;
}

/** Converts between forms; conversions.ts has the steps. */
export type Converter = (plan: PlanBuilder, node: Node, from: Buffer, to: Buffer) => void;

export interface PlanOptions {
  readonly ruleOf: (node: Node) => StepRule | undefined;
  readonly moduleRule: ModuleRule | null;
  readonly convert: Converter;
  readonly allowWinograd: boolean;
  /** Stored tensors that change from run to run, by name, and where they live. Others are constants. */
  readonly variables?: ReadonlyMap<string, Home>;
}

export class PlanBuilder implements Machine {
  readonly graph: Graph;
  readonly engine: Engine;
  /** How integer products are made here. */
  readonly choice: MachineChoice;
  /** Mask by which bytes are stored here. */
  readonly flip: 0 | 0x80;
  readonly allowWinograd: boolean;
  readonly steps: StepSpec[] = [];
  /** Nodes whose work an earlier step has taken over. */
  readonly absorbed = new Set<Node>();
  /** Steps of a fusion, added when its last node is reached, where everything it reads exists. */
  private readonly deferred = new Map<Node, () => void>();
  /** Values that are only made when something reads them. */
  private readonly onDemand = new Map<Value, () => void>();
  private readonly forms = new Map<Value, Buffer[]>();
  private readonly borders: ReadonlyMap<Value, Border>;
  private readonly convert: Converter;
  private readonly moduleRule: ModuleRule | null;
  private readonly variables: ReadonlyMap<string, Home>;

  constructor(graph: Graph, engine: Engine, options: PlanOptions) {
    this.graph = graph;
    this.engine = engine;
    this.choice = { dot: engine.dot, pack: packerOf(engine) };
    this.flip = storageFlip(engine.dot);
    this.allowWinograd = options.allowWinograd;
    this.convert = options.convert;
    this.variables = options.variables ?? new Map();
    this.moduleRule = options.moduleRule;
    this.borders = collectBorders(graph, options, this);
  }

  /** A value's type. @throws EngineError when it is not known before the graph runs. */
  type(arg: Argument): TensorType {
    if (arg instanceof Value && arg.type) return arg.type;
    throw new EngineError(
      "compile",
      { value: arg instanceof Value ? `%${arg.name}` : arg },
      "the type of a value is not known before it runs",
    );
  }

  /** The stored tensor an argument stands for, also through an observer, which changes nothing; or null. */
  constant(arg: Argument): Tensor | null {
    if (!(arg instanceof Value)) return null;
    const { node } = arg;
    if (passesOn(this.graph, node, this.moduleRule)) return this.constant(node.args[0]!);
    return this.variables.has(node.target) && node.kind === "attribute" ? null : this.graph.tensorOf(arg);
  }

  /** A buffer with the value in a form that satisfies the request, converted if need be. */
  read(arg: Argument, node: Node, request: FormRequest): Buffer {
    const value = arg as Value;
    this.demand(value);
    const existing = this.existingForms(value);
    const fitting =
      (request.kind === "anywhere" && existing.find(({ element }) => element === "host")) ||
      existing.find((buffer) => satisfies(buffer, request));
    if (fitting) return fitting;
    const source = existing[0];
    if (!source)
      throw new EngineError(
        "compile",
        { node: describe(node), value: `%${value.name}` },
        "a value is read before it is computed",
      );
    const made = this.make(
      value,
      request.kind === "image" ? this.imageForm(value, request.border) : flat(this.type(value).shape),
      request.kind === "host" ? "host" : undefined,
    );
    this.convert(this, node, source, made);
    return made;
  }

  /** Adds the step that brings one buffer into the form of another. */
  change(node: Node, from: Buffer, to: Buffer): void {
    this.convert(this, node, from, to);
  }

  /** Whether some reader wants the value as an image. */
  isReadAsImage(value: Value): boolean {
    return this.borders.has(value);
  }

  /** Whether the value lies as an image already. */
  liesAsImage(value: Argument): boolean {
    return value instanceof Value && this.forms.get(value)?.[0]?.form.kind === "image";
  }

  /** A new buffer for a value: as an image with the border its readers need, flat, or a tensor on the host. */
  write(value: Value, kind: "flat" | "image" | "host"): Buffer {
    const form = kind === "image" ? this.imageForm(value) : flat(this.type(value).shape);
    return this.make(value, form, kind === "host" ? "host" : undefined);
  }

  /** A new buffer for a value as an image with bytes between its pixels, for writers and readers that can do that. */
  writePadded(value: Value, channels: number): Buffer {
    const { shape } = this.type(value);
    const form = this.imageForm(value);
    return this.make(
      value,
      form.kind === "image" ? { kind: "image", image: { ...form.image, c: channels }, shape } : form,
    );
  }

  /** A buffer for something that is no value of the graph. */
  scratch(type: TensorType, form: Form): Buffer {
    return new Buffer(form, type, 0, null);
  }

  /**
   * If the only reader of a node's output limits it to a range (relu), takes that over: the step then writes the
   * reader's output, and the reader has nothing left to do.
   */
  absorbClamp(node: Node): { output: Value; range: Range } {
    const own = node.outputs[0]!;
    const reader = own.users[0];
    const range = reader && this.graph.useCount(own) === 1 ? clampOf(reader) : null;
    if (!reader || !range || this.type(reader.output).dtype !== "float32") return { output: own, range: unlimited };
    this.absorbed.add(reader);
    return { output: reader.output, range };
  }

  /**
   * Says that one step does the work of `nodes` (the first being emitted, the last in graph order the one whose output
   * it writes); `add` is called at the last one. False when another fusion has one of them already.
   */
  defer(nodes: readonly Node[], add: () => void): boolean {
    if (nodes.some((node) => this.absorbed.has(node) || this.deferred.has(node))) return false;
    for (const node of nodes) this.absorbed.add(node);
    this.deferred.set(nodes.at(-1)!, add);
    return true;
  }

  /** Adds what waits for this node. */
  reach(node: Node): void {
    this.deferred.get(node)?.();
  }

  /** Says how to make a value, if anything reads it. */
  makeOnDemand(value: Value, make: () => void): void {
    this.onDemand.set(value, make);
  }

  private demand(value: Value): void {
    const make = this.onDemand.get(value);
    this.onDemand.delete(value);
    make?.();
  }

  /** Says that `value` is the bytes of `buffer` in another shape. */
  alias(value: Value, buffer: Buffer, form: Form): void {
    this.note(value, new Buffer(form, this.type(value), buffer.borderValue, buffer));
  }

  /** Says that `value` is `buffer`. */
  same(value: Value, buffer: Buffer): void {
    this.note(value, buffer);
  }

  step(spec: StepSpec): void {
    const at = this.steps.length;
    for (const buffer of [...spec.reads, ...spec.writes]) {
      const { root } = buffer;
      root.first = Math.min(root.first, at);
      root.last = Math.max(root.last, at);
    }
    this.steps.push(spec);
  }

  /** A step that computes nothing: it moves what it reads. */
  copy(spec: Omit<StepSpec, "precision" | "why" | "operations">): void {
    this.step({ ...spec, precision: "copy", why: "", operations: 0 });
  }

  /** What there is of a value; a stored tensor that is read by a kernel gets a place. */
  private existingForms(value: Value): Buffer[] {
    const known = this.forms.get(value);
    const variable = value.node.kind === "attribute" ? this.variables.get(value.node.target) : undefined;
    const stored = known || variable ? null : this.graph.tensorOf(value);
    const home: Home | null = variable ?? (stored && { kind: "constant", tensor: stored });
    if (known || !home) return known ?? [];
    const type = this.type(value);
    this.note(value, new Buffer(flat(type.shape), type, 0, null, home.kind === "host" ? "host" : undefined, home));
    return this.forms.get(value)!;
  }

  private make(value: Value, form: Form, element?: Element): Buffer {
    const type = this.type(value);
    const stored = elementOf(type.dtype) === "byte" ? unsignedZeroPoint(type) ^ this.flip : 0;
    const buffer = new Buffer(form, type, stored, null, element);
    this.note(value, buffer);
    return buffer;
  }

  private note(value: Value, buffer: Buffer): void {
    this.forms.set(value, [...(this.forms.get(value) ?? []), buffer]);
  }

  private imageForm(value: Value, border: Border = NO_BORDER): Form {
    const { shape } = this.type(value);
    const image = imageOf(shape, joined(border, this.borders.get(value) ?? NO_BORDER));
    if (image) return { kind: "image", image, shape };
    throw new EngineError("compile", { value: `%${value.name}`, shape }, "only tensors of rank 3 and 4 can be images");
  }
}

function joined(a: Border, b: Border): Border {
  const wider = widerBorder(a, b);
  return covers(NO_BORDER, wider) ? NO_BORDER : wider;
}

function satisfies(buffer: Buffer, request: FormRequest): boolean {
  if (request.kind === "anywhere") return true;
  if (request.kind === "host") return buffer.element === "host";
  if (buffer.element !== elementOf(buffer.type.dtype)) return false;
  if (request.kind === "any") return true;
  if (request.kind !== buffer.form.kind) return false;
  return (
    buffer.form.kind === "flat" ||
    covers(buffer.form.image.border, (request.kind === "image" && request.border) || NO_BORDER)
  );
}

/** Whether a node gives what it gets, as an observer does. */
function passesOn(graph: Graph, node: Node, rule: ModuleRule | null): boolean {
  return node.kind === "module" && rule !== null && rule.passesOn(graph, node);
}

/** For every value the border that satisfies all its readers. */
function collectBorders(graph: Graph, { ruleOf, moduleRule }: PlanOptions, machine: Machine): Map<Value, Border> {
  const borders = new Map<Value, Border>();
  const widen = (value: Value, border: Border): void =>
    void borders.set(value, joined(borders.get(value) ?? NO_BORDER, border));
  // From the last node to the first: what stands behind an observer wants its border of what stands before it.
  for (const node of [...graph.nodes].reverse()) {
    const rule = ruleOf(node);
    const [observed] = node.args;
    const passed =
      passesOn(graph, node, moduleRule) && observed instanceof Value ? borders.get(node.outputs[0]!) : undefined;
    if (passed && !graph.tensorOf(observed as Value)) widen(observed as Value, passed);
    if (!rule?.border) continue;
    node.args.forEach((arg, i) => {
      if (!(arg instanceof Value) || graph.tensorOf(arg)) return;
      const border = rule.border!(node, i, machine);
      if (border) widen(arg, border);
    });
  }
  return borders;
}
