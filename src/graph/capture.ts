/**
 * Capture: runs a module's `forward` on tensors that have a type but no values, and writes down every
 * operator it calls.
 *
 * Shapes are concrete, so `x.shape[2]` is a number and ordinary `if`s work; reading values is an error that
 * names the user's line. Whether the graph also serves other batch sizes is found out by capturing a second
 * time with one image more and comparing (batch.ts).
 */

import { GraphError } from "../errors.ts";
import { Module } from "../nn/module.ts";
import type { AnyModule } from "../nn/module.ts";
import { generalizeBatch } from "./batch.ts";
import { findLeafTypes } from "./leaf-types.ts";
import type { Attrs } from "../ops/op.ts";
import { noGrad, withTracer } from "../tensor/context.ts";
import type { Tracer } from "../tensor/context.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { GraphModule } from "./graph-module.ts";
import { Graph, noSource } from "./graph.ts";
import type { Argument, Node, Source, Value } from "./graph.ts";
import { callerLocation } from "./location.ts";
import { flattenTree, unflattenTree } from "./tree.ts";
import { verify } from "./verify.ts";

/** A tensor that stands for a value of the graph being captured. */
export class TracedTensor extends Tensor {
  readonly value: Value;

  constructor(type: TensorType, value: Value) {
    super(type.dtype, type.shape, null, type.qparams);
    this.value = value;
  }

  override get data(): never {
    throw new GraphError(
      "capture",
      { value: `%${this.value.name}`, at: callerLocation() },
      "the values of a tensor were read while capturing, when only its shape and dtype exist",
      "Keep the computation in operators, or name the module in leafModules",
    );
  }

  override detach(): Tensor {
    return new TracedTensor(this, this.value);
  }

  override copy(): Tensor {
    return this.detach();
  }
}

export interface CaptureOptions {
  readonly name?: string;
  /** Modules the graph calls as a whole instead of looking inside; observers and fake-quantizes always are. */
  readonly leafModules?: (module: AnyModule, path: string) => boolean;
  /** "auto": find out; true: refuse models that bake the batch size in; false: do not look. Axis 0 is the batch. */
  readonly dynamicBatch?: "auto" | boolean;
}

class GraphTracer implements Tracer {
  readonly graph: Graph;
  private readonly names: ReadonlyMap<Tensor, string>;
  private readonly paths: ReadonlyMap<object, string>;
  private readonly stack: { path: string; type: string }[] = [];
  private readonly current = new Map<Tensor, Value>();
  private readonly owned = new Set<Node>();
  private readonly isLeaf: NonNullable<CaptureOptions["leafModules"]>;

  constructor(graph: Graph, root: AnyModule, isLeaf: NonNullable<CaptureOptions["leafModules"]>) {
    this.graph = graph;
    this.isLeaf = isLeaf;
    this.names = new Map([...root.stateDict()].reverse().map(([name, tensor]) => [tensor, name]));
    this.paths = new Map(root.namedModules().map(([path, module]) => [module, path]));
  }

  input(name: string, tensor: Tensor): TracedTensor {
    const type = typeOf(tensor);
    return this.traced(this.graph.insert({ kind: "input", target: name, types: [type], name }))[0]!;
  }

  record(
    op: string,
    inputs: readonly (Tensor | number | null)[],
    attrs: Attrs,
    types: readonly TensorType[],
  ): Tensor[] {
    const args = inputs.map((input) => this.argument(input));
    const node = this.graph.insert({ kind: "operator", target: op, args, attrs, types, source: this.source() });
    return this.traced(node);
  }

  callModule(module: AnyModule, args: readonly unknown[], run: () => unknown): unknown {
    const path = this.paths.get(module) ?? this.stack.at(-1)?.path ?? "";
    this.stack.push({ path, type: module.constructor.name });
    try {
      if (path === "" || !(module.isGraphLeaf || this.isLeaf(module, path))) return run();
      return this.callLeaf(module, path, args);
    } finally {
      this.stack.pop();
    }
  }

  assign(target: Tensor, value: Tensor): void {
    if (target instanceof TracedTensor)
      throw new GraphError("capture", { at: callerLocation() }, "a computed tensor cannot be assigned to");
    const argument = this.argument(value);
    const stored = this.graph.attribute(this.nameOf(target), target);
    this.graph.updates.set(stored.node.target, argument);
    if (typeof argument === "object" && argument) this.current.set(target, argument);
  }

  argument(input: Tensor | number | null): Argument {
    if (input === null || typeof input === "number") return input;
    if (input instanceof TracedTensor) return this.own(input);
    const source = this.names.has(input) ? noSource : this.source();
    return this.current.get(input) ?? this.graph.attribute(this.nameOf(input), input, source);
  }

  private own(traced: TracedTensor): Value {
    if (this.owned.has(traced.value.node)) return traced.value;
    throw new GraphError(
      "capture",
      { value: traced.value.name, at: callerLocation() },
      "a tensor of another capture was used",
    );
  }

  private nameOf(tensor: Tensor): string {
    const known = this.names.get(tensor);
    if (known !== undefined) return known;
    for (const [name, stored] of this.graph.attributes) if (stored === tensor) return name;
    return this.graph.freeAttributeName("constant");
  }

  private source(): Source {
    const top = this.stack.at(-1);
    return { path: top?.path ?? "", moduleType: top?.type ?? "", location: callerLocation() };
  }

  private callLeaf(module: AnyModule, path: string, args: readonly unknown[]): unknown {
    const { leaves } = flattenTree(args);
    const { spec, types } = withTracer(null, () => noGrad(() => findLeafTypes(module, args)));
    this.graph.modules.set(path, module);
    const node = this.graph.insert({
      kind: "module",
      target: path,
      args: leaves.map((leaf) => this.argument(leaf)),
      types,
      source: this.source(),
    });
    return unflattenTree(spec, this.traced(node));
  }

  private traced(node: Node): TracedTensor[] {
    this.owned.add(node);
    return node.outputs.map((value) => new TracedTensor(value.type!, value));
  }
}

function typeOf({ dtype, shape, qparams }: Tensor): TensorType {
  return qparams ? { dtype, shape, qparams } : { dtype, shape };
}

/** x, x1, x2, ... */
function inputName(index: number): string {
  return index === 0 ? "x" : `x${index}`;
}

function captureOnce(module: AnyModule, inputs: readonly unknown[], options: CaptureOptions): Graph {
  const graph = new Graph(options.name ?? module.constructor.name);
  for (const [path, { constructor }] of module.namedModules())
    if (path !== "") graph.moduleTypes.set(path, constructor.name);
  const tracer = new GraphTracer(graph, module, options.leafModules ?? (() => false));
  const { leaves, spec } = flattenTree(inputs);
  const traced = leaves.map((leaf, i) => tracer.input(inputName(i), leaf));
  const args = unflattenTree(spec, traced) as unknown[];
  const result = withTracer(tracer, () =>
    (module as unknown as { forward(...args: unknown[]): unknown }).forward(...args),
  );
  const { leaves: outputs, spec: outputTree } = flattenTree(result);
  if (outputs.length === 0) throw new GraphError("capture", { module: graph.name }, "the forward returned no tensor");
  graph.outputs = outputs.map((output) => tracer.argument(output));
  graph.inputTree = spec;
  graph.outputTree = outputTree;
  return graph;
}

/** The inputs with one row more along axis 0, as types; null when they have no common batch axis. */
function withAnotherBatch(inputs: readonly unknown[]): { inputs: unknown[]; batch: number } | null {
  const { leaves, spec } = flattenTree(inputs);
  const batch = leaves.find((leaf) => leaf.rank > 0)?.shape[0];
  if (batch === undefined) return null;
  const grown = leaves.map((leaf) => {
    if (leaf.rank === 0 || leaf.shape[0] !== batch || leaf.qparams?.kind === "perChannel") return leaf;
    return new Tensor(leaf.dtype, [batch + 1, ...leaf.shape.slice(1)], null, leaf.qparams);
  });
  return { inputs: unflattenTree(spec, grown) as unknown[], batch };
}

/**
 * The graph of `module.forward(...exampleInputs)`. The module and its tensors are shared, not copied; its train or
 * eval mode is kept as node attributes. Nothing is computed.
 * @param exampleInputs tensors, or nested arrays and objects of tensors; only dtypes and shapes matter.
 * @throws GraphError when values are read, tensors of another capture are used, or `dynamicBatch` cannot be had.
 */
export function capture(
  module: AnyModule,
  exampleInputs: readonly unknown[],
  options: CaptureOptions = {},
): GraphModule {
  if (!(module instanceof Module)) {
    throw new GraphError(
      "capture",
      { given: typeof module },
      "needs a module",
      "A function can be the forward of a class that extends Module",
    );
  }
  if (!Array.isArray(exampleInputs) || flattenTree(exampleInputs).leaves.length === 0) {
    throw new GraphError("capture", {}, "exampleInputs must be an array that holds at least one tensor");
  }
  const graph = captureOnce(module, exampleInputs, options);
  const { dynamicBatch = "auto" } = options;
  const other = dynamicBatch === false ? null : withAnotherBatch(exampleInputs);
  if (other) {
    generalizeBatch(graph, () => captureOnce(module, other.inputs, options), other.batch);
    if (graph.fixedBatch && dynamicBatch === true) {
      const { size, reason, location } = graph.fixedBatch;
      throw new GraphError(
        "capture",
        { batch: size, at: location },
        `the model only works for the example's batch size: ${reason}`,
      );
    }
  }
  verify(graph);
  return new GraphModule(graph, module.training);
}
