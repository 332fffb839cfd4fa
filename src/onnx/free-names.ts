/**
 * Which names the subgraphs of a node read from the graphs around them.
 */

import type { AttributeProto, GraphProto } from "./schema.ts";

function collect(graph: GraphProto, outer: ReadonlySet<string>, found: Set<string>): void {
  const defined = new Set(outer);
  for (const { name } of [...graph.input, ...graph.initializer]) defined.add(name);
  const read = (name: string): void => {
    if (name !== "" && !defined.has(name)) found.add(name);
  };
  for (const node of graph.node) {
    node.input.forEach(read);
    for (const { g } of node.attribute) if (g) collect(g, defined, found);
    for (const name of node.output) defined.add(name);
  }
  for (const { name } of graph.output) read(name);
}

/** Names that subgraphs among the attributes read and do not define. */
export function foreignNames(attributes: Iterable<AttributeProto>): Set<string> {
  const found = new Set<string>();
  for (const { g } of attributes) if (g) collect(g, new Set(), found);
  return found;
}
