/**
 * Which edges and outputs share one observer.
 *
 * Places (input edges and outputs) are the elements of a union-find forest. A Shared spec joins its place to the
 * one it names; and, unless an annotation forbids it, an edge is joined to the other readers of the same value and
 * to the value's own output when their specs agree, because they are one tensor. The order of joining is PyTorch's
 * (torchao/quantization/pt2e/prepare.py): it decides which member's spec makes the observer.
 */

import { QuantError } from "../../errors.ts";
import { describe } from "../../graph/graph.ts";
import type { Graph, Node, Value } from "../../graph/graph.ts";
import { annotationOf } from "./annotation.ts";
import type { EdgeOrNode, QSpec } from "./spec.ts";

/** An annotated input edge (reader set) or output (reader null). */
export interface Place {
  readonly value: Value;
  readonly reader: Node | null;
  readonly spec: QSpec | null;
}

/** `%x → %conv`, or `%conv`. */
export function describePlace({ value, reader }: Pick<Place, "value" | "reader">): string {
  return reader ? `%${value.name} → ${describe(reader)}` : describe(value.node);
}

/** All annotated places of a graph, in the order of its nodes, a node's inputs before its output. */
export class Places {
  readonly all: Place[] = [];
  private readonly byValue = new Map<Value, Map<Node | null, Place>>();

  constructor(graph: Graph) {
    for (const node of graph.nodes) {
      const annotation = annotationOf(node);
      if (!annotation) continue;
      for (const [value, spec] of annotation.inputQspecMap) {
        if (!node.args.includes(value)) {
          throw new QuantError(
            "annotate",
            { node: describe(node), value: `%${value.name}` },
            "an annotation names a value its node does not read",
          );
        }
        this.add({ value, reader: node, spec });
      }
      if (annotation.outputQspec) this.add({ value: node.outputs[0]!, reader: null, spec: annotation.outputQspec });
    }
  }

  find(value: Value, reader: Node | null): Place | undefined {
    return this.byValue.get(value)?.get(reader);
  }

  /** The place a spec names. @throws QuantError when nothing is annotated there. */
  named(at: EdgeOrNode, by: Place): Place {
    const [value, reader] = Array.isArray(at) ? (at as readonly [Value, Node]) : [at as Value, null];
    const place = this.find(value, reader);
    if (place) return place;
    throw new QuantError(
      "prepare",
      { place: describePlace(by), refersTo: describePlace({ value, reader }) },
      "a spec refers to an edge or node that has no annotation in this graph",
    );
  }

  private add(place: Place): void {
    this.all.push(place);
    const readers = this.byValue.get(place.value) ?? new Map<Node | null, Place>();
    readers.set(place.reader, place);
    this.byValue.set(place.value, readers);
  }
}

/** The properties two specs must agree in to be one. */
function identity(spec: QSpec): string {
  const own = spec as unknown as Record<string, unknown>;
  const fields = ["dtype", "isDynamic", "quantMin", "quantMax", "qscheme", "chAxis", "scale", "zeroPoint"];
  return JSON.stringify(fields.map((field) => (field in own ? [own[field]] : [])));
}

class Forest {
  private readonly places: Places;
  private readonly parents = new Map<Place, Place>();

  constructor(places: Places) {
    this.places = places;
  }

  root(place: Place): Place {
    let at = place;
    for (let parent = this.parents.get(at); parent; parent = this.parents.get(at)) at = parent;
    return at;
  }

  /** Puts the child's tree below the parent's; the other way round when the parent's root already points at the child's. */
  join(parent: Place, child: Place): void {
    const [up, down] = [this.root(parent), this.root(child)];
    if (up === down) return;
    const pointsBack = up.spec?.kind === "shared" && this.places.named(up.spec.edgeOrNode, up) === down;
    if (pointsBack) this.parents.set(up, down);
    else this.parents.set(down, up);
  }

  /** The spec behind Shared ones, as far as joined by now. @throws QuantError for specs that share in a circle. */
  unwrap(place: Place): QSpec | null {
    let { spec } = place;
    const seen = new Set<QSpec>();
    for (let at = place; spec?.kind === "shared"; spec = at.spec) {
      if (seen.has(spec))
        throw new QuantError(
          "prepare",
          { place: describePlace(place) },
          "its shared specs point at one another in a circle",
        );
      seen.add(spec);
      at = this.root(this.places.named(spec.edgeOrNode, at));
    }
    return spec;
  }

  joinIfEqual(other: Place | undefined, edge: Place, spec: QSpec): void {
    const theirs = other && this.unwrap(other);
    if (other && theirs && identity(theirs) === identity(spec)) this.join(other, edge);
  }
}

function joinImplicitly(forest: Forest, places: Places, edge: Place, reader: Node): void {
  const spec = forest.unwrap(edge);
  if (!spec || !annotationOf(reader)?.allowImplicitSharing) return;
  for (const user of new Set(edge.value.users)) {
    if (user !== reader) forest.joinIfEqual(places.find(edge.value, user), edge, spec);
  }
  forest.joinIfEqual(places.find(edge.value, null), edge, spec);
}

/** The representative of each place's group. @throws QuantError for references to places without annotation, and circles. */
export function shareGroups(places: Places): ReadonlyMap<Place, Place> {
  const forest = new Forest(places);
  for (const place of places.all) {
    if (place.reader) joinImplicitly(forest, places, place, place.reader);
    if (place.spec?.kind === "shared") forest.join(places.named(place.spec.edgeOrNode, place), place);
  }
  for (const place of places.all) if (place.spec) forest.unwrap(place);
  return new Map(places.all.map((place) => [place, forest.root(place)]));
}
