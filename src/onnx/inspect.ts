/**
 * What is in an ONNX file, as data: inputs and outputs, operators, parameters, which integers are in it already, and
 * what the engine would do with it. A file that cannot be imported is described as far as it can be read.
 */

import { compile } from "../compile/index.ts";
import { FewbitError, OnnxError } from "../errors.ts";
import type { GraphModule } from "../graph/graph-module.ts";
import { zeroInputs } from "../graph/zero-inputs.ts";
import { hasOp } from "../ops/op.ts";
import { dtypeInfo } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import { dtypeOf, typeName } from "./dtypes.ts";
import { readFile } from "./external.ts";
import { declarationOf, importOnnx, opsetsOf } from "./import.ts";
import type { ImportOptions } from "./import.ts";
import { findRule, domainKey } from "./rules/index.ts";
import { decodeMessage } from "./schema.ts";
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from "./schema.ts";

export interface InspectedValue {
  readonly name: string;
  /** Element type, `float32`. */
  readonly dtype: string;
  /** Sizes; names of open ones; null for what is not declared. */
  readonly shape: readonly (number | string | null)[] | null;
}

export interface InspectedOperator {
  /** `Conv`; with its domain where that is not ONNX's: `com.microsoft.QLinearAdd`. */
  readonly name: string;
  readonly count: number;
  /** Why fewbit carries it without being able to run it; null when it runs. */
  readonly problem: string | null;
}

export interface InspectedParameters {
  readonly count: number;
  readonly bytes: number;
  readonly byType: Readonly<Record<string, { readonly count: number; readonly bytes: number }>>;
}

export interface InspectedQuantization {
  /** float; qdq: integers between QuantizeLinear and DequantizeLinear; qoperator: QLinearConv and its like. */
  readonly form: "float" | "qdq" | "qoperator" | "dynamic" | "weight-only";
  /** Operators that belong to quantization, by name. */
  readonly operators: Readonly<Record<string, number>>;
}

export interface InspectedEngine {
  /** compiled: by the engine; interpreted: some types are known only when it runs; none: it cannot run here. */
  readonly runs: "compiled" | "interpreted" | "none";
  /** Steps of the compiled model by what they compute with. */
  readonly steps: Readonly<Record<string, number>>;
  /** What runs slower than it could, or not at all, and why. */
  readonly notes: readonly { readonly operator: string; readonly reason: string; readonly count: number }[];
}

export interface OnnxInspection {
  readonly bytes: number;
  readonly irVersion: number;
  readonly producer: string;
  /** Versions of the operator sets by domain; "" is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputs: readonly InspectedValue[];
  readonly outputs: readonly InspectedValue[];
  readonly nodes: number;
  readonly operators: readonly InspectedOperator[];
  readonly parameters: InspectedParameters;
  readonly quantization: InspectedQuantization;
  readonly engine: InspectedEngine;
}

function inspectValue(info: ValueInfoProto): InspectedValue {
  const declared = declarationOf(info);
  return {
    name: info.name,
    dtype: declared ? typeName(declared.elemType) : "not a tensor",
    shape: declared?.dims ?? null,
  };
}

/** Every node, those of subgraphs and functions too. */
function* everyNode(nodes: readonly NodeProto[]): Generator<NodeProto> {
  for (const node of nodes) {
    yield node;
    for (const { g, graphs } of node.attribute) {
      if (g) yield* everyNode(g.node);
      for (const graph of graphs) yield* everyNode(graph.node);
    }
  }
}

function nameOf({ domain, opType }: NodeProto): string {
  const key = domainKey(domain);
  return key === "" ? opType : `${key}.${opType}`;
}

function countBy<T>(items: Iterable<T>, key: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1;
  return counts;
}

function inspectOperators(nodes: readonly NodeProto[], functions: ReadonlySet<string>): InspectedOperator[] {
  const problems = new Map<string, string | null>();
  for (const node of nodes) {
    const found = findRule(domainKey(node.domain), node.opType);
    const known = functions.has(nameOf(node)) || (found !== null && "since" in found);
    problems.set(
      nameOf(node),
      known ? null : found && "reason" in found ? found.reason : "not an operator that is known",
    );
  }
  return Object.entries(countBy(nodes, nameOf))
    .map(([name, count]) => ({ name, count, problem: problems.get(name) ?? null }))
    .sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
}

function bytesOf({ dataType, rawData }: TensorProto, count: number): number {
  const dtype = dtypeOf(dataType);
  return dtype ? Math.ceil((count * dtypeInfo[dtype].bits) / 8) : rawData.length;
}

function inspectParameters(tensors: readonly TensorProto[]): InspectedParameters {
  const byType: Record<string, { count: number; bytes: number }> = {};
  let [count, bytes] = [0, 0];
  for (const tensor of tensors) {
    const size = numel(tensor.dims.map(Number));
    const own = (byType[typeName(tensor.dataType)] ??= { count: 0, bytes: 0 });
    own.count += size;
    own.bytes += bytesOf(tensor, size);
    count += size;
    bytes += bytesOf(tensor, size);
  }
  return { count, bytes, byType };
}

const integerOperators =
  /^(com\.microsoft\.)?(QLinear\w+|QGemm|ConvInteger|MatMulInteger\w*|Dynamic\w+|(Q|Deq)uantizeLinear|MatMulNBits|GatherBlockQuantized)$/;

function inspectQuantization(counts: Readonly<Record<string, number>>): InspectedQuantization {
  const operators = Object.fromEntries(Object.entries(counts).filter(([name]) => integerOperators.test(name)));
  const has = (pattern: RegExp): boolean => Object.keys(operators).some((name) => pattern.test(name));
  const form = has(/QLinear|QGemm/)
    ? "qoperator"
    : has(/Dynamic|Integer/)
      ? "dynamic"
      : has(/(^|\.)QuantizeLinear/)
        ? "qdq"
        : has(/./)
          ? "weight-only"
          : "float";
  return { form, operators };
}

function inspectCompiled(module: GraphModule): InspectedEngine {
  const executable = compile(module.graph, { fallback: "reference" });
  try {
    const { steps } = executable.explain(zeroInputs(module.graph), { repeats: 0 });
    const reasons = steps.filter(({ precision }) => precision === "reference");
    const counts = countBy(reasons, ({ node, why }) => `${/= (\S+?)(,|$)/.exec(node)?.[1] ?? node}\0${why}`);
    const notes = Object.entries(counts).map(([key, count]) => {
      const [operator = "", reason = ""] = key.split("\0");
      return { operator, reason, count };
    });
    return { runs: "compiled", steps: countBy(steps, ({ precision }) => precision), notes };
  } finally {
    executable.dispose();
  }
}

function inspectEngine(source: Uint8Array | string, options: ImportOptions): InspectedEngine {
  try {
    const module = importOnnx(source, options);
    const { nodes } = module.graph;
    const opaque = nodes.filter((node) => node.kind === "operator" && !hasOp(node.target));
    if (opaque.length > 0) {
      const counts = Object.entries(countBy(opaque, ({ target }) => target));
      const notes = counts.map(([operator, count]) => ({ operator, reason: "is carried, but cannot run", count }));
      return { runs: "none", steps: {}, notes };
    }
    const open = nodes.filter((node) => node.outputs.some(({ type }) => type === null));
    if (open.length === 0) return inspectCompiled(module);
    const counts = Object.entries(countBy(open, ({ target }) => target));
    const notes = counts.map(([operator, count]) => ({
      operator,
      reason: "its type is known only when it runs",
      count,
    }));
    return { runs: "interpreted", steps: {}, notes };
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error;
    return { runs: "none", steps: {}, notes: [{ operator: error.where, reason: error.message, count: 1 }] };
  }
}

function allTensors(graph: GraphProto): TensorProto[] {
  return [
    ...graph.initializer,
    ...[...everyNode(graph.node)].flatMap(({ opType, attribute }) =>
      opType === "Constant"
        ? attribute.flatMap(({ t }) => (t ? [t] : []))
        : attribute.flatMap(({ g }) => g?.initializer ?? []),
    ),
  ];
}

function describeModel(model: ModelProto, graph: GraphProto): Omit<OnnxInspection, "bytes" | "engine"> {
  const nodes = [...everyNode(graph.node), ...model.functions.flatMap(({ node }) => [...everyNode(node)])];
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const functions = new Set(
    model.functions.map(({ domain, name }) => `${domainKey(domain)}.${name}`.replace(/^\./, "")),
  );
  const operators = inspectOperators(nodes, functions);
  return {
    irVersion: Number(model.irVersion),
    producer: [model.producerName, model.producerVersion].filter((part) => part !== "").join(" "),
    opsets: Object.fromEntries(opsetsOf(model)),
    metadata: Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value])),
    inputs: graph.input.filter(({ name }) => !constants.has(name)).map(inspectValue),
    outputs: graph.output.map(inspectValue),
    nodes: nodes.length,
    operators,
    parameters: inspectParameters(allTensors(graph)),
    quantization: inspectQuantization(Object.fromEntries(operators.map(({ name, count }) => [name, count]))),
  };
}

/**
 * Describes an ONNX file.
 * @param source the bytes, or a path (Node only). Options give sizes that the file leaves open.
 * @throws FileFormatError, OnnxError when the bytes are no ONNX file; what hinders import is told in `engine`.
 */
export function inspectOnnx(source: Uint8Array | string, options: ImportOptions = {}): OnnxInspection {
  const bytes = typeof source === "string" ? readFile(source) : source;
  const model = decodeMessage("ModelProto", bytes);
  if (!model.graph) throw new OnnxError("inspectOnnx", { bytes: bytes.length }, "the file holds no graph");
  return { bytes: bytes.length, ...describeModel(model, model.graph), engine: inspectEngine(source, options) };
}
