/**
 * Annotations: the specs a quantizer writes onto a node, for the values it reads and the one it gives.
 */

import type { Node, Value } from "../../graph/graph.ts";
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

/** Annotations refer to nodes and values; a copied graph's must refer to the copies. */
export function remapAnnotations(values: ReadonlyMap<Value, Value>, nodes: ReadonlyMap<Node, Node>, remapSpec: (spec: QSpec, place: (at: EdgeOrNode) => EdgeOrNode) => QSpec): void {
  const place = (at: EdgeOrNode): EdgeOrNode =>
    Array.isArray(at)
      ? ([values.get(at[0] as Value) ?? (at[0] as Value), nodes.get(at[1] as Node) ?? (at[1] as Node)] as const)
      : (values.get(at as Value) ?? at);
  for (const [original, copy] of nodes) {
    const annotation = annotationOf(original);
    if (!annotation) continue;
    const inputs = [...annotation.inputQspecMap].map(([value, spec]) => [values.get(value) ?? value, spec && remapSpec(spec, place)] as const);
    annotate(
      copy,
      new QuantizationAnnotation({
        inputQspecMap: new Map(inputs),
        outputQspec: annotation.outputQspec && remapSpec(annotation.outputQspec, place),
        allowImplicitSharing: annotation.allowImplicitSharing,
      }),
    );
  }
}
