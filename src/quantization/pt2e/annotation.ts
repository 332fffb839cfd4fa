/**
 * Annotations: the specs a quantizer writes onto a node, for the values it reads and the one it gives.
 */

import type { Graph, Node, Value } from "../../graph/graph.ts";
import { DerivedQuantizationSpec, SharedQuantizationSpec } from "./spec.ts";
import type { EdgeOrNode, QSpec } from "./spec.ts";

const KEY = "quantizationAnnotation";

export interface AnnotationFields {
  /** For each value the node reads; null says "leave it float". */
  readonly inputQspecMap?: ReadonlyMap<Value, QSpec | null>;
  readonly outputQspec?: QSpec | null;
  /** Whether an equal spec on the same value elsewhere means the same observer. */
  readonly allowImplicitSharing?: boolean;
}

export class QuantizationAnnotation {
  readonly inputQspecMap: Map<Value, QSpec | null>;
  outputQspec: QSpec | null;
  readonly allowImplicitSharing: boolean;

  constructor({ inputQspecMap, outputQspec, allowImplicitSharing }: AnnotationFields = {}) {
    this.inputQspecMap = new Map(inputQspecMap ?? []);
    this.outputQspec = outputQspec ?? null;
    this.allowImplicitSharing = allowImplicitSharing ?? true;
  }
}

export function annotationOf(node: Node): QuantizationAnnotation | null {
  return (node.meta.get(KEY) as QuantizationAnnotation | undefined) ?? null;
}

export function annotate(node: Node, annotation: QuantizationAnnotation): void {
  node.meta.set(KEY, annotation);
}

/** Says how `node` wants to read `value`. */
export function annotateInputQspecMap(node: Node, value: Value, spec: QSpec | null): void {
  const annotation = annotationOf(node) ?? new QuantizationAnnotation();
  annotation.inputQspecMap.set(value, spec);
  annotate(node, annotation);
}

/** Says how the output of `node` is to be quantized. */
export function annotateOutputQspec(node: Node, spec: QSpec | null): void {
  const annotation = annotationOf(node) ?? new QuantizationAnnotation();
  annotation.outputQspec = spec;
  annotate(node, annotation);
}

/** A spec with every place it names put through `place`; the spec itself when it names none that changes. */
function moved(spec: QSpec, place: (at: EdgeOrNode) => EdgeOrNode): QSpec {
  if (spec.kind === "shared")
    return place(spec.edgeOrNode) === spec.edgeOrNode ? spec : new SharedQuantizationSpec(place(spec.edgeOrNode));
  if (spec.kind !== "derived" || spec.derivedFrom.every((at) => place(at) === at)) return spec;
  return new DerivedQuantizationSpec({ ...spec, derivedFrom: spec.derivedFrom.map(place) });
}

/** Makes all specs that refer to the edge `from` refer to `to`. */
export function moveReferences(graph: Graph, from: readonly [Value, Node], to: readonly [Value, Node]): void {
  const place = (at: EdgeOrNode): EdgeOrNode => (Array.isArray(at) && at[0] === from[0] && at[1] === from[1] ? to : at);
  for (const node of graph.nodes) {
    const annotation = annotationOf(node);
    if (!annotation) continue;
    for (const [value, spec] of annotation.inputQspecMap)
      if (spec) annotation.inputQspecMap.set(value, moved(spec, place));
    if (annotation.outputQspec) annotation.outputQspec = moved(annotation.outputQspec, place);
  }
}
