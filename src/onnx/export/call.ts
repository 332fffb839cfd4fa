/**
 * What an export rule sees: one node of a graph, and a file under construction that it adds ONNX nodes to.
 */

import { OnnxError } from "../../errors.ts";
import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import type { Attrs } from "../../ops/op.ts";
import { full, fromArray } from "../../tensor/create.ts";
import type { DType } from "../../tensor/dtype.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { Tensor, TensorType } from "../../tensor/tensor.ts";
import type { PlainAttribute } from "../attributes.ts";
import type { Unsupported } from "../call.ts";
import { codeOf } from "../dtypes.ts";

export type NodeAttributes = Readonly<Record<string, PlainAttribute | undefined>>;

/** The file that nodes are added to. */
export interface ModelWriter {
  readonly graph: Graph;
  readonly opset: number;
  /** Name of a value in the file. */
  nameOf(value: Value): string;
  constant(tensor: Tensor, stem: string): string;
  fresh(stem: string): string;
  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: NodeAttributes,
    domain?: string,
  ): void;
  /** Says that the file needs this opset. @throws OnnxError when an older one was asked for. */
  need(opset: number, why: string): void;
}

export class ExportCall {
  readonly node: Node;
  readonly attrs: Attrs;
  readonly writer: ModelWriter;

  constructor(node: Node, writer: ModelWriter) {
    this.node = node;
    this.attrs = node.attrs;
    this.writer = writer;
  }

  fail(rule: string, fields: Record<string, unknown> = {}): never {
    throw new OnnxError(`export of ${this.node.target}`, fields, rule);
  }

  number(name: string): number {
    return this.attrs[name] as number;
  }

  list(name: string): number[] {
    return [...(this.attrs[name] as readonly number[])];
  }

  flag(name: string): boolean {
    return this.attrs[name] === true;
  }

  has(i: number): boolean {
    return (this.node.args[i] ?? null) !== null;
  }

  /** The type of an argument. @throws OnnxError when it is known only when the graph runs. */
  type(i: number): TensorType {
    const arg = this.node.args[i];
    if (arg instanceof Value && arg.type) return arg.type;
    return this.fail("the type of an input must be known", { input: i });
  }

  get result(): TensorType {
    return this.node.outputs[0]?.type ?? this.fail("the type of the result must be known");
  }

  /** The stored tensor an argument is, or null. */
  tensor(i: number): Tensor | null {
    return this.writer.graph.tensorOf(this.node.args[i] ?? null);
  }

  /** Name of an argument; literals become constants, of the dtype asked for; "" for one left out. */
  input(i: number, dtype?: DType): string {
    const arg = this.node.args[i] ?? null;
    if (arg === null) return "";
    if (arg instanceof Value) return this.cast(this.writer.nameOf(arg), arg.type, dtype);
    return this.writer.constant(full([], arg, { dtype: dtype ?? this.result.dtype }), "literal");
  }

  get inputs(): string[] {
    return this.node.args.map((_, i) => this.input(i));
  }

  cast(name: string, type: TensorType | null, dtype: DType | undefined): string {
    if (!dtype || !type || type.dtype === dtype) return name;
    return this.emit("Cast", [name], { to: { int: codeOf("Cast", dtype) } });
  }

  ints(values: readonly number[], stem = "ints"): string {
    return this.writer.constant(fromArray(values, [values.length], "int64"), stem);
  }

  scalar(value: number, dtype: DType = isFloat(this.result.dtype) ? this.result.dtype : "float32"): string {
    return this.writer.constant(full([], value, { dtype }), "scalar");
  }

  /** Adds a node with one new value. */
  emit(opType: string, inputs: readonly string[], attributes: NodeAttributes = {}, domain = ""): string {
    const name = this.writer.fresh(`${this.node.outputs[0]?.name ?? opType}_${opType}`);
    this.writer.node(opType, inputs, [name], attributes, domain);
    return name;
  }

  /** Adds the node that makes this node's own results. */
  give(opType: string, inputs: readonly string[], attributes: NodeAttributes = {}, domain = ""): void {
    const outputs = this.node.outputs.map((value) => this.writer.nameOf(value));
    this.writer.node(opType, inputs, outputs, attributes, domain);
  }
}

export type ExportRule = (call: ExportCall) => void;
export type ExportRules = Readonly<Record<string, ExportRule | Unsupported>>;
