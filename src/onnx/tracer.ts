/**
 * The tracer behind import: operator calls on graph values become nodes, calls on constants alone are computed.
 *
 * Constants are ordinary tensors until a node reads them; then they are stored in the graph, under the name the file
 * gives them.
 */

import type { Graph, Source, Value } from "../graph/graph.ts";
import { noSource } from "../graph/graph.ts";
import { dispatch, findOp } from "../ops/op.ts";
import type { Attrs } from "../ops/op.ts";
import { activeTracer, noGrad, withTracer } from "../tensor/context.ts";
import type { Tracer } from "../tensor/context.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import type { Budget } from "./budget.ts";
import { DeferredTensor, isDeferred } from "./deferred-tensor.ts";

/** Thrown where values are needed that exist only when the graph runs; with the result's types when they are known. */
export class Deferred extends Error {
  readonly types: readonly TensorType[] | null;

  constructor(types: readonly TensorType[] | null = null) {
    super("needs values that are known only when the graph runs");
    this.types = types;
  }
}

/** A tensor that stands for a value of the graph being imported. */
export class ImportedTensor extends Tensor {
  readonly value: Value;

  constructor(type: TensorType, value: Value) {
    super(type.dtype, type.shape, null, type.qparams);
    this.value = value;
  }

  override get data(): never {
    throw new Deferred();
  }

  override detach(): Tensor {
    return new ImportedTensor(this, this.value);
  }

  override copy(): Tensor {
    return this.detach();
  }
}

export function isSymbolic(tensor: Tensor): tensor is ImportedTensor {
  return tensor instanceof ImportedTensor;
}

export class ImportTracer implements Tracer {
  readonly graph: Graph;
  /** Where the nodes made now come from. */
  source: Source = noSource;
  private readonly names = new Map<Tensor, string>();
  private readonly stored = new Map<Tensor, Value>();
  private folding = true;
  private readonly budget: Budget;

  constructor(graph: Graph, budget: Budget) {
    this.graph = graph;
    this.budget = budget;
  }

  record(
    name: string,
    inputs: readonly (Tensor | number | null)[],
    attrs: Attrs,
    types: readonly TensorType[],
  ): Tensor[] {
    const [first] = inputs;
    if (name === "permute" && first instanceof Tensor && isDeferred(first)) return [permuted(first, attrs, types[0]!)];
    const constant = !inputs.some((input) => input instanceof Tensor && isSymbolic(input));
    if (this.folding && constant && this.budget.affords(name, inputs, types, tapsOf(attrs)))
      return withTracer(null, () => noGrad(() => dispatch(findOp(name), inputs, attrs))) as Tensor[];
    this.budget.visit();
    const args = inputs.map((input) => (input instanceof Tensor ? this.valueOf(input) : input));
    const node = this.graph.insert({ kind: "operator", target: name, args, attrs, types, source: this.source });
    return node.outputs.map((value, i) => new ImportedTensor(types[i]!, value));
  }

  callModule(_module: object, _args: readonly unknown[], run: () => unknown): unknown {
    return run();
  }

  assign(target: Tensor, value: Tensor): void {
    withTracer(null, () => target.assign(value));
  }

  /** Makes nodes of calls on constants too: quantized weights stay integers. */
  unfolded<T>(make: () => T): T {
    this.folding = false;
    try {
      return make();
    } finally {
      this.folding = true;
    }
  }

  /** The name a constant gets when it is stored; the first one stays. */
  nameConstant(tensor: Tensor, name: string): void {
    if (!isSymbolic(tensor) && !this.names.has(tensor)) this.names.set(tensor, name);
  }

  /** The graph's value for a tensor; constants are stored on their first use. */
  valueOf(tensor: Tensor): Value {
    if (isSymbolic(tensor)) return tensor.value;
    const known = this.stored.get(tensor);
    if (known) return known;
    const wished = this.names.get(tensor);
    const name =
      wished && !this.graph.attributes.has(wished) ? wished : this.graph.freeAttributeName(wished ?? "constant");
    const value = this.graph.attribute(name, tensor);
    this.stored.set(tensor, value);
    return value;
  }
}

/** Values in a pool's window. */
function tapsOf({ kernelSize }: Attrs): number {
  return Array.isArray(kernelSize) ? numel(kernelSize as number[]) : 1;
}

/** Weights that stay in their file are turned when they are read. */
function permuted(x: Tensor, attrs: Attrs, { dtype, shape }: TensorType): Tensor {
  const load = (): Tensor =>
    noGrad(() => dispatch(findOp("permute"), [new Tensor(x.dtype, x.shape, x.data)], attrs))[0]!;
  return new DeferredTensor(dtype, shape, () => withTracer(null, load).data);
}

/** Runs `make` without folding constants, where an import is listening. */
export function unfolded<T>(make: () => T): T {
  const tracer = activeTracer();
  return tracer instanceof ImportTracer ? tracer.unfolded(make) : make();
}
