/**
 * Export: a graph as an ONNX file.
 *
 * Nodes become ONNX nodes by one table; quantize and dequantize become QuantizeLinear and DequantizeLinear, so a
 * quantized graph comes out in QDQ form, also one that computes on quantized tensors. Nodes that came from a file and were kept go back as they were. Names of an
 * imported graph, and what its file said about itself, are kept.
 */

import { OnnxError } from "../errors.ts";
import { Value } from "../graph/graph.ts";
import type { Argument, Graph, Node } from "../graph/graph.ts";
import { isForeign } from "../graph/graph.ts";
import type { GraphModule } from "../graph/graph-module.ts";
import { constantFolding } from "../graph/passes/cleanup.ts";
import { removeDead } from "../graph/rewrite.ts";
import { full } from "../tensor/create.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { encodeValues, wireSize } from "../tensor/wire.ts";
import { isDeferred } from "./deferred-tensor.ts";
import { fromPlain } from "./attributes.ts";
import type { PlainAttribute } from "./attributes.ts";
import type { KeptAttrs } from "./deferred.ts";
import { codeOf } from "./dtypes.ts";
import { ExportCall } from "./export/call.ts";
import type { ModelWriter, NodeAttributes } from "./export/call.ts";
import { dynamicQuantization } from "./export/dynamic.ts";
import { integerBias } from "./export/integer-bias.ts";
import { packedWeights } from "./export/packed.ts";
import { qdqForm } from "./export/qdq-form.ts";
import { qoperators } from "./export/qoperator.ts";
import { exportRuleFor } from "./export/index.ts";
import type { DeclaredType, OnnxInfo } from "./info.ts";
import { matrixProducts } from "./matrices.ts";
import { createMessage, encodeMessage } from "./schema.ts";
import type { ModelProto, NodeProto, TensorProto } from "./schema.ts";
import { declareTensor } from "./tensors.ts";

export interface ExportOptions {
  /** Version of ONNX's operators, 13 to 25. By default the oldest from 17 on that has all that is needed. */
  readonly opset?: number;
  /** Names of the graph's results in the file. */
  readonly outputNames?: readonly string[];
  /** Name of the open batch axis; null writes the captured batch size. */
  readonly batchName?: string | null;
  /** Integers as QuantizeLinear/DequantizeLinear pairs (default), or as operators on integers where there are any. */
  readonly format?: "qdq" | "qoperator";
  /**
   * Biases of integer layers as int32, as onnxruntime computes with them whatever the file has. By default only in format
   * "qoperator", which has no other; "qdq" keeps the floats of the graph.
   */
  readonly integerBias?: boolean;
  /** Linear layers with weights in blocks as com.microsoft's MatMulNBits, for onnxruntime. Default false. */
  readonly matMulNBits?: boolean;
  /** Added to the file's metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
}

const DEFAULT_OPSET = 17;
const OLDEST_OPSET = 13;
const NEWEST_OPSET = 25;
const FORMATS: readonly string[] = ["qdq", "qoperator"];
/** IR version that came with each opset, for those that need a newer one than 8. */
const irVersions: readonly (readonly [opset: number, ir: bigint])[] = [
  [23, 11n],
  [21, 10n],
  [19, 9n],
  [0, 8n],
];
const PROTOBUF_LIMIT = 2 ** 31 - 1;

/** A tensor of the file, and where its values come from. */
export interface ExportedTensor {
  readonly proto: TensorProto;
  readonly tensor: Tensor;
}

/** A model whose values are still to be written. */
export interface ExportedModel {
  readonly model: ModelProto;
  readonly tensors: readonly ExportedTensor[];
  /** Bytes of all values. */
  readonly size: number;
}

class Writer implements ModelWriter {
  readonly graph: Graph;
  readonly nodes: NodeProto[] = [];
  readonly tensors: ExportedTensor[] = [];
  readonly domains = new Set<string>();
  opset: number;
  private readonly fixedOpset: boolean;
  private readonly names = new Map<Value, string>();
  private readonly taken = new Set<string>();
  private readonly constants = new Map<string, string>();
  /** What subgraphs read from around them, by name. */
  private readonly captured = new Map<string, Argument>();
  private source = "";

  constructor(graph: Graph, opset: number | undefined) {
    this.graph = graph;
    this.opset = opset ?? DEFAULT_OPSET;
    this.fixedOpset = opset !== undefined;
  }

  name(value: Value, name: string): void {
    this.names.set(value, name);
    this.taken.add(name);
  }

  /** Name of a value; stored tensors are written when they are first asked for. */
  nameOf(value: Value): string {
    const known = this.names.get(value);
    if (known !== undefined) return known;
    const name = this.fresh((value.node.meta.get(`onnx.name.${value.index}`) as string | undefined) ?? value.name);
    this.names.set(value, name);
    const stored = this.graph.tensorOf(value);
    if (stored) this.store(name, stored);
    return name;
  }

  private store(name: string, tensor: Tensor): void {
    this.tensors.push({ proto: declareTensor(name, tensor), tensor });
  }

  fresh(stem: string): string {
    let name = stem;
    for (let i = 1; this.taken.has(name); i++) name = `${stem}_${i}`;
    this.taken.add(name);
    return name;
  }

  constant(tensor: Tensor, stem: string): string {
    const key =
      tensor.numel <= 8 && !isDeferred(tensor)
        ? `${tensor.dtype}[${tensor.shape.join()}]:${Array.from(tensor.data, (v) => (Object.is(v, -0) ? "-0" : v)).join()}`
        : null;
    const known = key === null ? undefined : this.constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh(stem);
    this.store(name, tensor);
    if (key !== null) this.constants.set(key, name);
    return name;
  }

  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: NodeAttributes,
    domain = "",
  ): void {
    const used = inputs.length - [...inputs].reverse().findIndex((name) => name !== "");
    const given = inputs.slice(0, inputs.some((name) => name !== "") ? used : 0);
    const node = createMessage("NodeProto", { opType, domain, input: given, output: [...outputs] });
    node.name = this.fresh(this.nodeName(opType, outputs[0] ?? ""));
    node.attribute = Object.entries(attributes).flatMap(([name, value]) => (value ? [fromPlain(name, value)] : []));
    this.nodes.push(node);
    this.domains.add(domain);
  }

  /**
   * The name of the module or node it came from. What only carries values between number formats says so in its name:
   * the plain name stays with the operator, by which it is found in the float model.
   */
  private nodeName(opType: string, output: string): string {
    if (this.source === "") return `${opType}_${output}`;
    const carries = opType.endsWith("uantizeLinear") && !this.source.includes(opType);
    return carries ? `${this.source}_${opType}` : this.source;
  }

  need(opset: number, why: string): void {
    if (this.opset >= opset) return;
    if (this.fixedOpset)
      throw new OnnxError(
        "exportOnnx",
        { opset: this.opset, needed: opset, because: why },
        "the asked for opset is too old for the graph",
      );
    this.opset = opset;
  }

  /** Converts one node. */
  convert(node: Node): void {
    this.source = node.source.path;
    if (isForeign(node)) {
      this.keep(node, node.attrs as unknown as KeptAttrs);
      return;
    }
    const rule = exportRuleFor(node.target);
    if (typeof rule !== "function")
      throw new OnnxError(`export of ${node.target}`, { node: node.outputs[0]?.name }, rule.reason);
    rule(new ExportCall(node, this));
  }

  private keep(node: Node, { domain, opType, opset, attributes, outputs, captures }: KeptAttrs): void {
    const kept = Object.entries(attributes) as [string, PlainAttribute][];
    if (opset < OLDEST_OPSET && kept.some(([name, plain]) => fromPlain(name, plain).g))
      throw new OnnxError(`export of ${opType}`, { opset }, "its subgraph is of an opset that is not written");
    if (domain === "") this.need(opset, opType);
    const given = node.args.length - captures.length;
    const inputs = node.args.slice(0, given).map((arg) => (arg === null ? "" : this.argument(arg)));
    captures.forEach((name, i) => this.nameCaptured(name, node.args[given + i]!, opType));
    const names = node.outputs.map((value, i) => (outputs[i] === false ? "" : this.nameOf(value)));
    this.node(opType, inputs, names, attributes as Readonly<Record<string, PlainAttribute>>, domain);
  }

  /** Makes a value known by the name that a subgraph, which is written as it was, reads it by. */
  private nameCaptured(name: string, arg: Argument, opType: string): void {
    if (this.captured.get(name) === arg) return;
    const own = this.argument(arg);
    if (own !== name) {
      if (this.taken.has(name))
        throw new OnnxError(`export of ${opType}`, { name }, "its subgraph reads a name that another value has by now");
      this.taken.add(name);
      this.node("Identity", [own], [name], {});
    }
    this.captured.set(name, arg);
  }

  argument(arg: Argument): string {
    if (arg instanceof Value) return this.nameOf(arg);
    return this.constant(full([], arg ?? 0), "literal");
  }
}

function valueInfo(name: string, value: Argument, batchName: string | null, declared: DeclaredType | undefined) {
  const type = value instanceof Value ? value.type : null;
  if (!type) {
    const dims = declared?.dims?.map((size) =>
      typeof size === "number" ? { dimValue: BigInt(size) } : size === null ? {} : { dimParam: size },
    );
    return declared
      ? { name, type: { tensorType: { elemType: declared.elemType, ...(dims && { shape: { dim: dims } }) } } }
      : { name };
  }
  const dim = type.shape.map((size, axis) =>
    axis === 0 && batchName !== null ? { dimParam: batchName } : { dimValue: BigInt(size) },
  );
  return { name, type: { tensorType: { elemType: codeOf(name, type.dtype), shape: { dim } } } };
}

/** A result of the graph; `copy` when it needs a node of its own. */
interface Result {
  readonly name: string;
  readonly value: Argument;
  readonly copy: boolean;
}

/** Names the graph's results; what is an input, stored or returned twice gets a node of its own. */
function nameOutputs(writer: Writer, graph: Graph, wished: readonly string[]): Result[] {
  const seen = new Set<Argument>();
  return graph.outputs.map((value, i) => {
    const own =
      value instanceof Value && (value.node.kind === "operator" || value.node.kind === "module") && !seen.has(value);
    seen.add(value);
    const name = wished[i] ?? (own && value instanceof Value ? value.name : `output_${i}`);
    const unique = writer.fresh(name);
    if (own) writer.name(value, unique);
    return { name: unique, value, copy: !own };
  });
}

const isQuantize = ({ target }: Node): boolean => target.startsWith("decomposedQuantize");

/** Weights are written as the integers they quantize to. */
function prepared(graph: Graph, options: ExportOptions): Graph {
  const { matMulNBits, format, integerBias: hasIntegerBias = format === "qoperator" } = options;
  const { graph: copy } = graph.cloneWithMap();
  qdqForm.run(copy);
  constantFolding(isQuantize, "quantized").run(copy);
  dynamicQuantization.run(copy);
  if (hasIntegerBias) integerBias.run(copy);
  if (format === "qoperator") qoperators.run(copy);
  if (matMulNBits) packedWeights.run(copy);
  matrixProducts.run(copy);
  removeDead(copy);
  return copy;
}

interface Heading {
  readonly info: OnnxInfo | undefined;
  readonly batchName: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

function modelOf(
  writer: Writer,
  graph: Graph,
  outputs: readonly Result[],
  { info, batchName, metadata }: Heading,
): ModelProto {
  const proto = createMessage("GraphProto", {
    name: graph.name || "graph",
    input: graph.inputs.map((value) =>
      valueInfo(
        writer.nameOf(value),
        value,
        value.type?.shape.length ? batchName : null,
        info?.types[value.node.target],
      ),
    ),
    output: outputs.map(({ name, value }) =>
      valueInfo(name, value, value instanceof Value && value.type?.shape.length ? batchName : null, info?.types[name]),
    ),
  });
  proto.node = writer.nodes;
  proto.initializer = writer.tensors.map((one) => one.proto);
  const model = createMessage("ModelProto", {
    irVersion: irVersions.find(([from]) => writer.opset >= from)![1],
    producerName: "fewbit",
    domain: info?.domain ?? "",
    docString: info?.docString ?? "",
    modelVersion: BigInt(info?.modelVersion ?? 0),
    opsetImport: [
      { domain: "", version: BigInt(writer.opset) },
      ...[...writer.domains].filter((domain) => domain !== "").map((domain) => ({ domain, version: 1n })),
    ],
    metadataProps: Object.entries({ ...info?.metadata, ...metadata }).map(([key, value]) => ({ key, value })),
  });
  model.graph = proto;
  return model;
}

/**
 * The model of a graph, its values not yet written: float as it is, quantized in QDQ form unless asked for otherwise.
 * @throws OnnxError for operators that have no ONNX form (it says why), for an opset too old for the graph, and for
 * graphs that call modules: convert those first.
 */
export function exportModel(module: GraphModule, options: ExportOptions = {}): ExportedModel {
  const { opset, format, metadata = {} } = options;
  if (opset !== undefined && !(opset >= OLDEST_OPSET && opset <= NEWEST_OPSET))
    throw new OnnxError(
      "exportOnnx",
      { opset, oldest: OLDEST_OPSET, newest: NEWEST_OPSET },
      "files of that opset are not written",
    );
  if (format !== undefined && !FORMATS.includes(format))
    throw new OnnxError("exportOnnx", { format, known: FORMATS }, "the format must be one of these");
  const called = module.graph.nodes.find(({ kind }) => kind === "module");
  if (called)
    throw new OnnxError(
      "exportOnnx",
      { module: called.target },
      "a graph that calls modules cannot be written",
      "Convert it first",
    );
  const graph = prepared(module.graph, options);
  const info = module.preserved["onnx"] as OnnxInfo | undefined;
  const writer = new Writer(graph, opset);
  const free = graph.fixedBatch === null && options.batchName !== null;
  const batchName = free ? (options.batchName ?? "N") : null;
  for (const node of graph.nodes) if (node.kind === "input") writer.name(node.output, node.target);
  const outputs = nameOutputs(writer, graph, options.outputNames ?? info?.outputs ?? []);
  for (const node of graph.nodes) {
    if (node.kind === "operator") writer.convert(node);
  }
  for (const { name, value, copy } of outputs) if (copy) writer.node("Identity", [writer.argument(value)], [name], {});
  const model = modelOf(writer, graph, outputs, { info, batchName, metadata });
  const size = writer.tensors.reduce((sum, { tensor: { dtype, numel } }) => sum + wireSize(dtype, numel), 0);
  return { model, tensors: writer.tensors, size };
}

/** The bytes of an exported model. @throws OnnxError when they are too many for one file. */
export function encodeModel({ model, tensors, size }: ExportedModel): Uint8Array {
  if (size > PROTOBUF_LIMIT)
    throw new OnnxError(
      "exportOnnx",
      { bytes: size },
      "a file of more than 2 GB cannot be written in one piece",
      "Write it with writeOnnx, which puts the values into a file beside it",
    );
  for (const { proto, tensor } of tensors) proto.rawData = encodeValues(tensor.dtype, tensor.data);
  return encodeMessage("ModelProto", model);
}

/**
 * The bytes of an ONNX file with the graph.
 * @throws OnnxError as exportModel, and for more than 2 GB.
 */
export function exportOnnx(module: GraphModule, options: ExportOptions = {}): Uint8Array {
  return encodeModel(exportModel(module, options));
}
