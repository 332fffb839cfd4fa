/**
 * Which operators a caller names: by ONNX type, by name, by glob, by pattern or by a function.
 */

import { OnnxError } from "../../errors.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { nearNames } from "../../quantization/eager/names.ts";
import { nodeName, operatorName } from "./operators.ts";
import type { Selector } from "./options.ts";

/** `*` any letters, `?` one letter; everything else is itself. */
function globToPattern(glob: string): RegExp {
  const body = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${body}$`);
}

function namesOf(node: Node, fromFile: boolean): string[] {
  return [operatorName(node, fromFile), node.target, nodeName(node), ...node.outputs.map(({ name }) => name)];
}

function matcher(selector: Selector, fromFile: boolean): (node: Node) => boolean {
  if (typeof selector === "function") return selector;
  const pattern = typeof selector === "string" ? globToPattern(selector) : selector;
  return (node) => namesOf(node, fromFile).some((name) => name.search(pattern) >= 0);
}

/**
 * The nodes that selectors name.
 * @throws OnnxError for a selector that names nothing, with names that are near.
 */
export function selectNodes(
  graph: Graph,
  selectors: readonly Selector[],
  where: "include" | "exclude",
  fromFile: boolean,
): ReadonlySet<Node> {
  const nodes = graph.nodes.filter(({ kind }) => kind === "operator");
  const chosen = new Set<Node>();
  for (const selector of selectors) {
    const found = nodes.filter(matcher(selector, fromFile));
    for (const node of found) chosen.add(node);
    if (found.length > 0 || typeof selector === "function") continue;
    const known = [...new Set(nodes.flatMap((node) => namesOf(node, fromFile).filter((name) => name !== "")))];
    const near = nearNames(String(selector), known);
    throw new OnnxError(
      "quantizeOnnx",
      { [where]: String(selector) },
      "no operator of the model has that type or name",
      near.length > 0 ? `Did you mean ${near.join(" or ")}?` : `Types are ${typesOf(nodes, fromFile)}`,
    );
  }
  return chosen;
}

function typesOf(nodes: readonly Node[], fromFile: boolean): string {
  return [...new Set(nodes.map((node) => operatorName(node, fromFile)))].join(", ");
}
