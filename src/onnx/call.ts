/**
 * What an import rule sees: one ONNX node with tensors for its inputs.
 *
 * A rule is written with operator functions, and serves three uses: while importing, its calls become graph nodes;
 * where all its inputs are constants it computes at once, which folds shape arithmetic; and when a node had to wait
 * for values (a Reshape to a computed shape), the same rule runs it then. A rule that needs values that are not
 * there yet says so by reading them.
 */

import { OnnxError } from "../errors.ts";
import { zipTo } from "../ops/loops.ts";
import type { DType } from "../tensor/dtype.ts";
import { broadcastShapes, numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { full } from "../tensor/create.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { kindOf, kinds, text } from "./attributes.ts";
import type { Budget } from "./budget.ts";
import type { AttributeProto, GraphProto } from "./schema.ts";
import { readTensor } from "./tensors.ts";
import { Deferred, isSymbolic } from "./tracer.ts";

/** Most elements a constant may have that import makes by itself. */
export const LARGEST_CONSTANT = 2 ** 26;
/** Most steps of a loop that is unrolled. */
export const MOST_STEPS = 2 ** 16;

/** Runs a subgraph on tensors for its inputs, in the scope of the node. */
export type RunGraph = (graph: GraphProto, inputs: readonly (Tensor | null)[]) => readonly Tensor[];

export interface CallSpec {
  readonly domain: string;
  readonly opType: string;
  readonly opset: number;
  readonly attributes: ReadonlyMap<string, AttributeProto>;
  readonly inputs: readonly (Tensor | null)[];
  /** For each output whether anything may read it. */
  readonly wanted: readonly boolean[];
  readonly runGraph: RunGraph;
  readonly budget: Budget;
}

export class Call {
  readonly opType: string;
  readonly opset: number;
  readonly inputs: readonly (Tensor | null)[];
  readonly wanted: readonly boolean[];
  readonly runGraph: RunGraph;
  private readonly attributes: ReadonlyMap<string, AttributeProto>;
  private readonly budget: Budget;

  constructor(spec: CallSpec) {
    this.budget = spec.budget;
    this.opType = spec.opType;
    this.opset = spec.opset;
    this.attributes = spec.attributes;
    this.inputs = spec.inputs;
    this.wanted = spec.wanted;
    this.runGraph = spec.runGraph;
  }

  fail(rule: string, fields: Record<string, unknown> = {}): never {
    throw new OnnxError(this.opType, { ...fields, opset: this.opset }, rule);
  }

  /** An input. @throws OnnxError when the node leaves it out. */
  input(i: number): Tensor {
    return this.inputs[i] ?? this.fail("an input is missing", { input: i });
  }

  optional(i: number): Tensor | null {
    return this.inputs[i] ?? null;
  }

  /** All inputs that are there. */
  get given(): Tensor[] {
    return this.inputs.filter((input): input is Tensor => input !== null);
  }

  private find(name: string, kind: number): AttributeProto | undefined {
    const attribute = this.attributes.get(name);
    if (attribute && kindOf(attribute) !== kind)
      this.fail("an attribute has the wrong type", { attribute: name, type: kindOf(attribute), expected: kind });
    return attribute;
  }

  has(name: string): boolean {
    return this.attributes.has(name);
  }

  int(name: string, otherwise = 0): number {
    const found = this.find(name, kinds.int);
    return found ? Number(found.i) : otherwise;
  }

  float(name: string, otherwise = 0): number {
    return this.find(name, kinds.float)?.f ?? otherwise;
  }

  string(name: string, otherwise = ""): string {
    const found = this.find(name, kinds.string);
    return found ? text(found.s) : otherwise;
  }

  ints(name: string): number[] | null {
    return this.find(name, kinds.ints)?.ints.map(Number) ?? null;
  }

  floats(name: string): number[] | null {
    return this.find(name, kinds.floats)?.floats ?? null;
  }

  strings(name: string): string[] | null {
    return this.find(name, kinds.strings)?.strings.map(text) ?? null;
  }

  tensor(name: string): Tensor | null {
    const proto = this.find(name, kinds.tensor)?.t;
    return proto ? readTensor(proto) : null;
  }

  graph(name: string): GraphProto {
    return this.find(name, kinds.graph)?.g ?? this.fail("a subgraph is missing", { attribute: name });
  }

  /** Integers that newer opsets give as an input and older ones as an attribute; null when neither is there. */
  intsOrInput(name: string, input: number): number[] | null {
    const tensor = this.optional(input);
    return tensor ? valuesOf(tensor) : this.ints(name);
  }

  /**
   * A result of known types that has no operator of its own: computed now if all inputs have values, else by a node
   * that runs this rule again.
   * @param taps how many values every result reads, where that is many.
   */
  native(types: readonly TensorType[], compute: () => readonly Tensor[], taps = 1): readonly Tensor[] {
    if (this.given.some(isSymbolic) || !this.budget.affords(this.opType, this.inputs, types, taps))
      throw new Deferred(types);
    return compute();
  }

  /** `native` for y = f(a, b) with broadcasting. */
  zip(a: Tensor, b: Tensor, f: (a: number, b: number) => number, dtype: DType = a.dtype): Tensor {
    const type = { dtype, shape: broadcastShapes(this.opType, a.shape, b.shape) };
    return this.native([type], () => [
      zipTo(
        type,
        a,
        b,
        (n, y, o, x, i, si, z, j, sj) => {
          for (const end = o + n; o < end; o++, i += si, j += sj) y[o] = f(x[i]!, z[j]!);
        },
        a.dtype,
      ),
    ])[0]!;
  }

  /** A constant of a shape that the file asks for. @throws OnnxError when it is unreasonably large. */
  filled(shape: Shape, value: number, dtype: DType): Tensor {
    this.checkSize(shape, false);
    const type = { dtype, shape };
    if (!this.affordsConstant(type)) throw new Deferred([type]);
    return full(shape, value, { dtype });
  }

  /** Filling costs memory only, whatever product it is for. */
  private affordsConstant(type: TensorType): boolean {
    return this.budget.affords("constant", [], [type]);
  }

  /** @param pays whether the constant is about to be made, and so counts among those the file asks for. */
  checkSize(shape: Shape, pays = true): void {
    const size = numel(shape);
    if (!(size <= LARGEST_CONSTANT) || shape.some((s) => !Number.isInteger(s) || s < 0))
      this.fail("a constant of that shape is not made", { shape, limit: LARGEST_CONSTANT });
    if (pays && !this.affordsConstant({ dtype: "float32", shape }))
      this.fail("the constants of the model are together too large to be made", { shape });
  }
}

/** The values as numbers. @throws Deferred when they are not there yet. */
export function valuesOf(tensor: Tensor): number[] {
  return Array.from(tensor.data);
}

/** The only value. */
export function valueOf(tensor: Tensor): number {
  return tensor.data[0]!;
}

export type RuleResult = Tensor | readonly (Tensor | null)[];
export type Convert = (call: Call) => RuleResult;

/** Conversions by the opset they apply from; the newest that is not newer than the model's opset is used. */
export interface OnnxRule {
  readonly since: Readonly<Record<number, Convert>>;
}

/** Why nodes of a type are kept but not understood. */
export interface Unsupported {
  readonly reason: string;
}

export type OnnxRules = Readonly<Record<string, OnnxRule | Unsupported>>;

export function unsupported(reason: string): Unsupported {
  return { reason };
}

export function rule(convert: Convert): OnnxRule {
  return { since: { 1: convert } };
}

export function since(versions: Readonly<Record<number, Convert>>): OnnxRule {
  return { since: versions };
}
