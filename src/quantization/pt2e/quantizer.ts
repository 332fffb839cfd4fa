/**
 * A Quantizer decides what is quantized and how, by writing annotations; prepare and convert only read them.
 * Source: torchao/quantization/pt2e/quantizer/{quantizer,composable_quantizer}.py.
 */

import { QuantError } from "../../errors.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { describe } from "../../graph/graph.ts";
import type { AnyModule } from "../../nn/module.ts";
import { annotationOf } from "./annotation.ts";
import type { QuantizationAnnotation } from "./annotation.ts";
import type { Place } from "./sharing.ts";

export abstract class Quantizer {
  /** Checks that there are settings, and for this flow. @throws QuantError */
  checkSettings(_isQat: boolean): void {}

  /** Changes the graph before it is annotated (scalars into tensors, say). */
  transformForAnnotation(_graph: Graph): void {}

  /** Writes annotations onto nodes. */
  abstract annotate(graph: Graph): void;

  /** Checks the annotated graph. @throws QuantError for what the target cannot run. */
  validate(_graph: Graph): void {}

  /** May replace observers before they are inserted. */
  prepareObsOrFqCallback(_graph: Graph, _instances: Map<Place, AnyModule>): void {}
}

function fingerprint(annotation: QuantizationAnnotation | null): unknown[] {
  if (!annotation) return [];
  return [annotation, annotation.outputQspec, ...[...annotation.inputQspecMap].flat()];
}

/** Several quantizers one after the other; a later one may add annotations but not change or remove earlier ones. */
export class ComposableQuantizer extends Quantizer {
  readonly quantizers: readonly Quantizer[];

  constructor(quantizers: readonly Quantizer[]) {
    super();
    this.quantizers = quantizers;
  }

  /** @throws QuantError when there is no quantizer, and what theirs throw. */
  override checkSettings(isQat: boolean): void {
    if (this.quantizers.length === 0)
      throw new QuantError("ComposableQuantizer", {}, "it has no quantizer, so nothing would be quantized");
    for (const quantizer of this.quantizers) quantizer.checkSettings(isQat);
  }

  override transformForAnnotation(graph: Graph): void {
    for (const quantizer of this.quantizers) quantizer.transformForAnnotation(graph);
  }

  /** @throws QuantError naming the quantizer that changed another's annotation. */
  override annotate(graph: Graph): void {
    const written = new Map<Node, unknown[]>();
    for (const quantizer of this.quantizers) {
      quantizer.annotate(graph);
      for (const node of graph.nodes) {
        const now = fingerprint(annotationOf(node));
        const before = written.get(node);
        if (before?.length && (before.length !== now.length || before.some((part, i) => part !== now[i]))) {
          throw new QuantError(
            "ComposableQuantizer",
            { quantizer: quantizer.constructor.name, node: describe(node) },
            "changed an annotation that an earlier quantizer wrote",
          );
        }
        written.set(node, now);
      }
    }
  }

  override validate(graph: Graph): void {
    for (const quantizer of this.quantizers) quantizer.validate(graph);
  }

  override prepareObsOrFqCallback(graph: Graph, instances: Map<Place, AnyModule>): void {
    for (const quantizer of this.quantizers) quantizer.prepareObsOrFqCallback(graph, instances);
  }
}
