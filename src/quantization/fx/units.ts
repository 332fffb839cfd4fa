/**
 * A graph as FX sees it: a list of units, each one call of a layer, of an operator, or of a module kept whole.
 * Fusion joins units; settings, patterns and observers are about units, not about single nodes.
 */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";
import { layerCallOf } from "./trace.ts";

export type UnitKind = "layer" | "operator" | "module";

/** What a unit is, written onto its nodes so that conversion finds it again. */
export interface UnitRecord {
  readonly kind: UnitKind;
  /** Class of the layer or module (a fused one's after fusion), or operator. */
  type: string;
  /** Of a layer or module its path; of an operator the path of the module that calls it. */
  readonly path: string;
  /** Class of the module that calls the operator. */
  readonly parentType: string;
  /** Types that were fused into this unit, from first to last. */
  parts: readonly string[];
  /** How the unit is to be quantized; null: not at all. Set when the graph is prepared. */
  qconfig: MappedQConfig;
  /** Whether observers were put around the unit. */
  isObserved: boolean;
}

export class Unit {
  readonly record: UnitRecord;
  readonly nodes: Node[] = [];

  constructor(record: UnitRecord) {
    this.record = record;
  }

  get type(): string {
    return this.record.type;
  }

  get isLayer(): boolean {
    return this.record.kind !== "operator";
  }

  /** What the unit gives; of several outputs the first. */
  get output(): Value {
    return this.nodes[this.nodes.length - 1]!.outputs[0]!;
  }

  /**
   * What the unit reads, in order: of an operator all values and stored tensors, of a layer only what is passed in,
   * each once.
   */
  get args(): Value[] {
    const own = new Set(this.nodes);
    const read = this.nodes
      .flatMap((node) => node.args)
      .filter((arg): arg is Value => arg instanceof Value && !own.has(arg.node));
    if (!this.isLayer) return this.nodes.length === 1 ? read : [...new Set(read)];
    return [...new Set(read.filter((value) => value.node.kind !== "attribute"))];
  }
}

const KEY = "fxUnit";

export function unitRecordOf(node: Node): UnitRecord | null {
  return (node.meta.get(KEY) as UnitRecord | undefined) ?? null;
}

const unset = { qconfig: null, isObserved: false };

function recordFor(graph: Graph, node: Node): UnitRecord {
  const call = layerCallOf(node);
  const { path, moduleType } = node.source;
  if (node.kind === "module") {
    const type = graph.modules.get(node.target)!.constructor.name;
    return { kind: "module", type, path: node.target, parentType: "", parts: [type], ...unset };
  }
  if (call) return { kind: "layer", type: call.type, path: call.path, parentType: "", parts: [call.type], ...unset };
  return { kind: "operator", type: node.target, path, parentType: moduleType, parts: [node.target], ...unset };
}

/** Reshapes that a `stack` consists of besides its concatenation: each adds the new axis, on the same line of code. */
function stackedReshapes(cat: Node): Node[] | null {
  const { dim } = cat.attrs as { readonly dim?: number };
  const inputs = cat.inputs.map((value) => value.node);
  const isPart = (node: Node): boolean => {
    const shape = node.outputs[0]?.type?.shape;
    const location = node.source.location;
    return (
      node.target === "reshape" &&
      node.output.users.length === 1 &&
      !layerCallOf(node) &&
      location === cat.source.location &&
      shape?.[dim ?? 0] === 1 &&
      shape.length === node.inputs[0]!.type!.shape.length + 1
    );
  };
  return cat.target === "cat" && inputs.length > 0 && inputs.every(isPart) ? inputs : null;
}

/** Adds a unit's nodes to the units, each under its record. */
class Units {
  readonly list: Unit[] = [];
  private readonly byRecord = new Map<UnitRecord, Unit>();

  add(node: Node, record: UnitRecord): void {
    node.meta.set(KEY, record);
    let unit = this.byRecord.get(record);
    if (!unit) {
      unit = new Unit(record);
      this.byRecord.set(record, unit);
      this.list.push(unit);
    }
    unit.nodes.push(node);
  }
}

function isObserver(graph: Graph, node: Node): boolean {
  return node.kind === "module" && "calculateQParams" in graph.modules.get(node.target)!;
}

/** The units of a graph in order; nodes that have no record yet get one. Observers belong to none. */
export function unitsOf(graph: Graph): Unit[] {
  const units = new Units();
  const byCall = new Map<object, UnitRecord>();
  const stacks = new Map<Node, UnitRecord>();
  for (const node of graph.nodes) {
    const parts = stackedReshapes(node);
    if (!parts) continue;
    const record: UnitRecord = { ...recordFor(graph, node), type: "stack", parts: ["stack"] };
    for (const part of [...parts, node]) stacks.set(part, record);
  }
  for (const node of graph.nodes) {
    if (node.kind === "input" || node.kind === "attribute" || isObserver(graph, node)) continue;
    const call = layerCallOf(node);
    const record = unitRecordOf(node) ?? stacks.get(node) ?? (call && byCall.get(call)) ?? recordFor(graph, node);
    if (call) byCall.set(call, record);
    units.add(node, record);
  }
  return units.list;
}

/** Gives every unit a record of its own, so that a copied graph can be prepared another way. */
export function renewRecords(graph: Graph): void {
  const renewed = new Map<UnitRecord, UnitRecord>();
  for (const node of graph.nodes) {
    const record = unitRecordOf(node);
    if (!record) continue;
    const copy = renewed.get(record) ?? { ...record };
    renewed.set(record, copy);
    node.meta.set(KEY, copy);
  }
}

/** Joins nodes to one unit. */
export function setUnitRecord(node: Node, record: UnitRecord): void {
  node.meta.set(KEY, record);
}

/** The unit a value comes from. */
export function producers(units: readonly Unit[]): Map<Value, Unit> {
  return new Map(
    units.flatMap((unit) => unit.nodes.flatMap((node) => node.outputs.map((value) => [value, unit] as const))),
  );
}

/** How often a unit's output is read by others, the graph's return included. */
export function readCount(graph: Graph, unit: Unit): number {
  return graph.useCount(unit.output);
}
