/**
 * Walking an ONNX graph node by node: with an import tracer it builds a Graph, without one it computes.
 *
 * A node is handed to the newest rule that the model's opset allows, a call of one of the model's own functions is
 * walked through. What no rule understands is left to the caller (`opaque`), what needs values that are not there
 * yet too (`defer`).
 */

import { FewbitError, OnnxError } from "../errors.ts";
import type { Value } from "../graph/graph.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Budget } from "./budget.ts";
import { Call } from "./call.ts";
import type { Convert, OnnxRule, Unsupported } from "./call.ts";
import type { ExternalData } from "./external.ts";
import { foreignNames } from "./free-names.ts";
import { LARGEST_CONSTANT } from "./call.ts";
import { findRule, domainKey } from "./rules/index.ts";
import type { AttributeProto, FunctionProto, GraphProto, NodeProto } from "./schema.ts";
import { readSparse, readTensor } from "./tensors.ts";
import { Deferred } from "./tracer.ts";

/** A value of the graph whose type is known only when it runs. */
export class Unknown {
  readonly value: Value;

  constructor(value: Value) {
    this.value = value;
  }
}

export type Entry = Tensor | Unknown;

/** Names in reach of a node: its graph's and those around it. */
export class Scope {
  private readonly entries = new Map<string, Entry>();
  private readonly parent: Scope | null;
  /** Attributes of the function call whose body this is. */
  readonly attributes: ReadonlyMap<string, AttributeProto> | null;

  constructor(
    parent: Scope | null,
    attributes: ReadonlyMap<string, AttributeProto> | null = parent?.attributes ?? null,
  ) {
    this.parent = parent;
    this.attributes = attributes;
  }

  get(name: string): Entry | undefined {
    return this.entries.get(name) ?? this.parent?.get(name);
  }

  set(name: string, entry: Entry): void {
    this.entries.set(name, entry);
  }
}

/** A node with everything a rule or a kept node needs. */
export interface Visit {
  readonly proto: NodeProto;
  readonly domain: string;
  readonly opset: number;
  readonly attributes: ReadonlyMap<string, AttributeProto>;
  readonly inputs: readonly (Entry | null)[];
  /** What its subgraphs read from outside, by name. */
  readonly captures: ReadonlyMap<string, Entry>;
}

export interface Visitor {
  /** Keeps a node that cannot be run. */
  opaque(visit: Visit, why: Unsupported): readonly Entry[];
  /** Keeps a node that can only be run with values. */
  defer(visit: Visit, deferred: Deferred): readonly Entry[];
  /** Told before and after a node is converted. */
  enter?(visit: Visit): void;
  leave?(visit: Visit, outputs: readonly (Entry | null)[]): void;
  constant?(name: string, tensor: Tensor): void;
}

export interface WalkContext {
  readonly opsets: ReadonlyMap<string, number>;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  readonly files: ExternalData | null;
  readonly visitor: Visitor;
  readonly budget: Budget;
}

/** Nested functions and subgraphs deeper than this are taken for a cycle. */
const DEEPEST = 64;

export class Walker {
  private readonly context: WalkContext;
  private depth = 0;

  constructor(context: WalkContext) {
    this.context = context;
  }

  /** Initializers and nodes of a graph; its inputs are already in the scope. Returns its outputs. */
  graph(graph: GraphProto, scope: Scope): Entry[] {
    for (const proto of graph.initializer) this.constant(proto.name, readTensor(proto, this.context.files), scope);
    for (const proto of graph.sparseInitializer)
      this.constant(proto.values?.name ?? "", readSparse(proto, LARGEST_CONSTANT), scope);
    this.nodes(graph.node, scope);
    return graph.output.map(({ name }) => this.read(name, scope, "the graph's return"));
  }

  private constant(name: string, tensor: Tensor, scope: Scope): void {
    this.context.budget.grant(tensor);
    this.context.visitor.constant?.(name, tensor);
    scope.set(name, tensor);
  }

  private nodes(nodes: readonly NodeProto[], scope: Scope): void {
    if (++this.depth > DEEPEST)
      throw new OnnxError(
        "ONNX",
        { depth: this.depth },
        "functions or subgraphs are nested too deeply, or call themselves",
      );
    for (const node of nodes) this.node(node, scope);
    this.depth--;
  }

  private read(name: string, scope: Scope, reader: string): Entry {
    const entry = scope.get(name);
    if (entry) return entry;
    throw new OnnxError(
      "ONNX",
      { value: name, reader },
      "a value is read that nothing before it computes",
      "The graph has a cycle, or its nodes are out of order",
    );
  }

  private node(proto: NodeProto, scope: Scope): void {
    this.context.budget.visit();
    const reader = proto.name || proto.opType;
    const attributes = resolveAttributes(proto, scope);
    const captures = new Map<string, Entry>();
    for (const name of foreignNames(attributes.values())) {
      const entry = scope.get(name);
      if (entry) captures.set(name, entry);
    }
    const domain = domainKey(proto.domain);
    const visit: Visit = {
      proto,
      domain,
      opset: this.context.opsets.get(domain) ?? 1,
      attributes,
      inputs: proto.input.map((name) => (name === "" ? null : this.read(name, scope, reader))),
      captures,
    };
    this.context.visitor.enter?.(visit);
    const outputs = withNode(visit, () => this.convert(visit, scope));
    this.context.visitor.leave?.(visit, outputs);
    proto.output.forEach((name, i) => {
      const entry = outputs[i];
      if (name !== "" && entry) scope.set(name, entry);
    });
  }

  private convert(visit: Visit, scope: Scope): readonly (Entry | null)[] {
    const { proto, domain, opset } = visit;
    const body = this.context.functions.get(`${domain}:${proto.opType}`);
    if (body) return this.call(body, visit);
    const found = findRule(domain, proto.opType);
    const convert = found && "since" in found ? newest(found, opset) : null;
    if (!convert) return this.context.visitor.opaque(visit, reasonOf(found));
    if ([...visit.inputs, ...visit.captures.values()].some((entry) => entry instanceof Unknown))
      return this.context.visitor.defer(visit, new Deferred());
    try {
      const result = convert(this.callOf(visit, scope));
      return result instanceof Tensor ? [result] : result;
    } catch (signal) {
      if (signal instanceof Deferred) return this.context.visitor.defer(visit, signal);
      throw signal;
    }
  }

  private callOf({ proto, domain, opset, attributes, inputs }: Visit, scope: Scope): Call {
    return new Call({
      domain,
      opType: proto.opType,
      opset,
      attributes,
      inputs: inputs as readonly (Tensor | null)[],
      wanted: proto.output.map((name) => name !== ""),
      runGraph: (graph, given) => this.subgraph(graph, given, scope),
      budget: this.context.budget,
    });
  }

  private subgraph(graph: GraphProto, given: readonly (Tensor | null)[], scope: Scope): Tensor[] {
    const inner = new Scope(scope);
    graph.input.forEach(({ name }, i) => {
      const tensor = given[i];
      if (tensor) inner.set(name, tensor);
    });
    return this.graph(graph, inner).map((entry) => {
      if (entry instanceof Unknown) throw new Deferred();
      return entry;
    });
  }

  private call(body: FunctionProto, visit: Visit): readonly (Entry | null)[] {
    const attributes = new Map(body.attributeProto.map((attribute) => [attribute.name, attribute]));
    for (const [name, attribute] of visit.attributes) attributes.set(name, attribute);
    const inner = new Scope(null, attributes);
    body.input.forEach((name, i) => {
      const entry = visit.inputs[i];
      if (entry) inner.set(name, entry);
    });
    const opsets = new Map(body.opsetImport.map(({ domain, version }) => [domainKey(domain), Number(version)]));
    const walker = new Walker({ ...this.context, opsets });
    walker.depth = this.depth;
    walker.nodes(body.node, inner);
    return body.output.map((name) => inner.get(name) ?? null);
  }
}

function newest({ since }: OnnxRule, opset: number): Convert | null {
  const versions = Object.keys(since).map(Number);
  const usable = versions.filter((version) => version <= opset);
  return since[usable.length > 0 ? Math.max(...usable) : Math.min(...versions)] ?? null;
}

function reasonOf(found: OnnxRule | Unsupported | null): Unsupported {
  return found && "reason" in found ? found : { reason: "not an operator that is known" };
}

function resolveAttributes(proto: NodeProto, scope: Scope): Map<string, AttributeProto> {
  const resolved = new Map<string, AttributeProto>();
  for (const attribute of proto.attribute) {
    if (attribute.refAttrName === "") resolved.set(attribute.name, attribute);
    else {
      const actual = scope.attributes?.get(attribute.refAttrName);
      if (actual) resolved.set(attribute.name, { ...actual, name: attribute.name });
    }
  }
  return resolved;
}

/** Runs `f`; errors of this library get the node's name. */
function withNode<T>({ proto }: Visit, f: () => T): T {
  try {
    return f();
  } catch (error) {
    if (error instanceof FewbitError && !error.message.includes(" — in node "))
      error.message += ` — in node ${proto.opType} ${proto.name || proto.output[0] || ""}`.trimEnd();
    throw error;
  }
}
