/**
 * Import: an ONNX file as a GraphModule of fewbit's operators.
 *
 * Constants and shape arithmetic fold while the file is walked (rules compute at once what has values). A node whose
 * result type depends on values stays an operator of its own, `onnx.Reshape`, that runs by the rule it was not
 * lowered with; a node nobody knows is kept opaque. An open first axis is imported as a batch of one, and freed where
 * a second import with another batch size shows that nothing depends on it.
 */

import { OnnxError } from "../errors.ts";
import { generalizeBatch } from "../graph/batch.ts";
import { GraphModule } from "../graph/graph-module.ts";
import { Graph } from "../graph/graph.ts";
import type { Argument, FixedBatch, Node, ValueType } from "../graph/graph.ts";
import { verify } from "../graph/verify.ts";
import { hasOp } from "../ops/op.ts";
import { noGrad, withTracer } from "../tensor/context.ts";
import { Tensor } from "../tensor/tensor.ts";
import { plainAttributes } from "./attributes.ts";
import { Budget } from "./budget.ts";
import { dtypeOf } from "./dtypes.ts";
import { filesBeside, readFile } from "./external.ts";
import type { ExternalData } from "./external.ts";
import { nodeTarget } from "./deferred.ts";
import { sameValues } from "./deferred-tensor.ts";
import type { DeclaredType, OnnxInfo } from "./info.ts";
import { linearLayers } from "./matrices.ts";
import { domainKey } from "./rules/index.ts";
import { decodeMessage, hasField } from "./schema.ts";
import type { GraphProto, ModelProto, ValueInfoProto } from "./schema.ts";
import { bytesBeside } from "./tensors.ts";
import type { Deferred } from "./tracer.ts";
import { ImportTracer, ImportedTensor, isSymbolic } from "./tracer.ts";
import { Scope, Unknown, Walker } from "./walk.ts";
import type { Entry, Visit, Visitor } from "./walk.ts";

export interface ImportOptions {
  /** Sizes of open dimensions by the name the file gives them. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Whole shapes of inputs; wins over the file. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** Inputs that are given once and for all, as constants. */
  readonly constants?: Readonly<Record<string, Tensor>>;
  /** Size to import an open first axis with; the graph serves others too where that is sound. */
  readonly batch?: number;
  /** Files that hold tensor values, for models given as bytes. */
  readonly externalData?: ExternalData;
}

/** Builds the graph: what the walker cannot convert becomes a node under the operator's ONNX name. */
class GraphBuilder implements Visitor {
  readonly graph: Graph;
  readonly tracer: ImportTracer;
  private readonly types: ReadonlyMap<string, ValueType>;
  private readonly named = new Set<unknown>();

  constructor(graph: Graph, types: ReadonlyMap<string, ValueType>, budget: Budget) {
    this.graph = graph;
    this.tracer = new ImportTracer(graph, budget);
    this.types = types;
  }

  enter({ proto }: Visit): void {
    this.tracer.source = { path: proto.name, moduleType: proto.opType, location: "" };
  }

  leave({ proto }: Visit, outputs: readonly (Entry | null)[]): void {
    outputs.forEach((entry, i) => {
      const name = proto.output[i];
      if (!entry || !name) return;
      if (entry instanceof Tensor && !isSymbolic(entry)) this.tracer.nameConstant(entry, name);
      else this.nameValue(entry instanceof Unknown ? entry : entry, name);
    });
  }

  constant(name: string, tensor: Tensor): void {
    this.tracer.nameConstant(tensor, name);
  }

  nameValue({ value }: Unknown | ImportedTensor, name: string): void {
    if (this.named.has(value)) return;
    this.named.add(value);
    this.graph.rename(value, name);
    value.node.meta.set(`onnx.name.${value.index}`, name);
  }

  opaque(visit: Visit): readonly Entry[] {
    const types = visit.proto.output.map((name) => this.types.get(name) ?? null);
    const node = this.keep(visit, types);
    node.meta.set("opaque", true);
    return node.outputs.map((value, i) => (types[i] ? new ImportedTensor(types[i], value) : new Unknown(value)));
  }

  defer(visit: Visit, { types }: Deferred): readonly Entry[] {
    const node = this.keep(visit, types ?? visit.proto.output.map(() => null));
    return node.outputs.map((value, i) => (types?.[i] ? new ImportedTensor(types[i], value) : new Unknown(value)));
  }

  argument(entry: Entry | null): Argument {
    if (entry === null) return null;
    return entry instanceof Unknown ? entry.value : this.tracer.valueOf(entry);
  }

  private keep(visit: Visit, types: readonly ValueType[]): Node {
    const { proto, domain, opset, attributes, inputs, captures } = visit;
    return this.graph.insert({
      kind: "operator",
      target: nodeTarget(domain, proto.opType),
      args: [...inputs, ...captures.values()].map((entry) => this.argument(entry)),
      attrs: {
        domain: proto.domain,
        opType: proto.opType,
        opset,
        attributes: plainAttributes(attributes.values()),
        outputs: proto.output.map((name) => name !== ""),
        captures: [...captures.keys()],
      },
      types,
      source: this.tracer.source,
    });
  }
}

interface Sizes {
  readonly options: ImportOptions;
  readonly batch: number;
  /** Set when an open first axis was met. */
  open: boolean;
}

/** The type a ValueInfo declares, or null when a size in it is open. */
function declaredType({ name, type }: ValueInfoProto, sizes: Sizes): ValueType {
  const tensor = type?.tensorType;
  const dtype = tensor ? dtypeOf(tensor.elemType) : null;
  if (dtype === null) return null;
  const given = sizes.options.inputShapes?.[name];
  if (given) return { dtype, shape: [...given] };
  if (!tensor?.shape) return null;
  const shape: number[] = [];
  for (const [axis, dim] of tensor.shape.dim.entries()) {
    const named = sizes.options.dims?.[dim.dimParam];
    if (hasField(dim, "dimValue") && Number(dim.dimValue) >= 0) shape.push(Number(dim.dimValue));
    else if (named !== undefined) shape.push(named);
    else if (axis === 0) {
      shape.push(sizes.batch);
      sizes.open = true;
    } else return null;
  }
  return shape.every((size) => Number.isSafeInteger(size) && size >= 0) ? { dtype, shape } : null;
}

export function opsetsOf(model: ModelProto): Map<string, number> {
  return new Map(model.opsetImport.map(({ domain, version }) => [domainKey(domain), Number(version)]));
}

function buildGraph(
  model: ModelProto,
  proto: GraphProto,
  options: ImportOptions,
  batch: number,
  files: ExternalData | null,
) {
  const sizes: Sizes = { options, batch, open: false };
  const graph = new Graph(proto.name.replace(/[^\w.]/g, "_") || "graph");
  const inner: Sizes = { options, batch, open: false };
  const types = new Map([...proto.valueInfo, ...proto.output].map((info) => [info.name, declaredType(info, inner)]));
  const budget = Budget.forImport(proto.node.length);
  const builder = new GraphBuilder(graph, types, budget);
  const scope = new Scope(null);
  const constants = new Set([
    ...proto.initializer.map(({ name }) => name),
    ...proto.sparseInitializer.map(({ values }) => values?.name),
  ]);
  for (const info of proto.input) {
    const fixed = options.constants?.[info.name];
    if (fixed) builder.constant(info.name, fixed);
    if (fixed) scope.set(info.name, fixed);
    if (fixed || constants.has(info.name)) continue;
    const type = declaredType(info, sizes);
    const { output } = graph.insert({ kind: "input", target: info.name, types: [type], name: info.name });
    const entry = type ? new ImportedTensor(type, output) : new Unknown(output);
    builder.nameValue(entry, info.name);
    scope.set(info.name, entry);
  }
  const functions = new Map(model.functions.map((body) => [`${domainKey(body.domain)}:${body.name}`, body]));
  const walker = new Walker({ opsets: opsetsOf(model), functions, files, visitor: builder, budget });
  const outputs = noGrad(() => withTracer(builder.tracer, () => walker.graph(proto, scope)));
  graph.outputs = outputs.map((entry) => builder.argument(entry));
  linearLayers.run(graph);
  return { graph, open: sizes.open };
}

/** Folded constants that differ for another batch size are the batch size, baked in. */
function sameConstants(a: Graph, b: Graph): boolean {
  return [...a.attributes].every(([name, tensor]) => {
    const other = b.attributes.get(name);
    return other !== undefined && sameValues(tensor, other);
  });
}

function freeBatch(graph: Graph, again: () => Graph, batch: number): void {
  let other: Graph | null = null;
  generalizeBatch(graph, () => (other = again()), batch);
  if (graph.fixedBatch || !other || sameConstants(graph, other)) return;
  graph.fixedBatch = { size: batch, reason: "a constant is computed from the batch size", location: "" };
}

/** A file that declares its first axis is taken at its word. */
function declaredBatch(graph: Graph): FixedBatch | null {
  const size = graph.inputs.find(({ type }) => type !== null && type.shape.length > 0)?.type?.shape[0];
  return size === undefined ? null : { size, reason: "the file declares it", location: "" };
}

/** What a file says of an input or output. */
export function declarationOf({ type }: ValueInfoProto): DeclaredType | null {
  const tensor = type?.tensorType;
  if (!tensor) return null;
  const dims = tensor.shape?.dim.map((dim) =>
    hasField(dim, "dimValue") ? Number(dim.dimValue) : dim.dimParam || null,
  );
  return { elemType: tensor.elemType, dims: dims ?? null };
}

function infoOf(model: ModelProto, proto: GraphProto, bytes: number): OnnxInfo {
  return {
    bytes,
    opset: opsetsOf(model).get("") ?? 1,
    inputs: proto.input.map(({ name }) => name),
    outputs: proto.output.map(({ name }) => name),
    types: Object.fromEntries(
      [...proto.input, ...proto.output].flatMap((info) => {
        const declared = declarationOf(info);
        return declared ? [[info.name, declared] as const] : [];
      }),
    ),
    domain: model.domain,
    docString: model.docString,
    modelVersion: Number(model.modelVersion),
    metadata: Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}

/**
 * The graph of an ONNX model, opsets 7 and newer (older ones where their operators are the same).
 * @param source the bytes of the file, or its path (Node only), next to which external data is looked for.
 * @throws FileFormatError for truncated or contradictory files; OnnxError for graphs with cycles, values nothing
 * computes, missing or escaping external data, and nodes that break their operator's rules.
 */
export function importOnnx(source: Uint8Array | string, options: ImportOptions = {}): GraphModule {
  const bytes = typeof source === "string" ? readFile(source) : source;
  const files = options.externalData ?? (typeof source === "string" ? filesBeside(source) : null);
  const model = decodeMessage("ModelProto", bytes);
  const { graph: proto } = model;
  if (!proto || (proto.node.length === 0 && proto.output.length === 0))
    throw new OnnxError("importOnnx", { bytes: bytes.length }, "the file holds no graph");
  const batch = options.batch ?? 1;
  const { graph, open } = withErrors(() => buildGraph(model, proto, options, batch, files));
  const second = (): Graph => buildGraph(model, proto, options, batch + 1, files).graph;
  if (open) freeBatch(graph, second, batch);
  else graph.fixedBatch = declaredBatch(graph);
  withErrors(() => verify(graph));
  const module = new GraphModule(graph);
  module.preserved["onnx"] = infoOf(model, proto, bytes.length + (files ? bytesBeside(proto.initializer, files) : 0));
  return module;
}

/** Errors of the JavaScript engine on absurd sizes and depths are errors of the file. */
function withErrors<T>(f: () => T): T {
  try {
    return f();
  } catch (cause) {
    if (cause instanceof RangeError || cause instanceof TypeError)
      throw new OnnxError("importOnnx", { reason: cause.message }, "the model asks for something impossible");
    throw cause;
  }
}

/** Names of the operators in a graph that can be carried but not run. */
export function opaqueOperators(graph: Graph): string[] {
  const names = graph.nodes
    .filter((node) => node.kind === "operator" && !hasOp(node.target))
    .map(({ target }) => target);
  return [...new Set(names)];
}
