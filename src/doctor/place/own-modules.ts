/**
 * Gives every call its own module, and sequences that can be fused their fused form.
 *
 * A module used twice has one observer for two ranges, and cannot be fused; so its later calls get copies. Which
 * sequences fuse is eager mode's table, asked through getFuserMethod.
 */

import { QuantError } from "../../errors.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { ReLU } from "../../nn/activation.ts";
import type { AnyModule } from "../../nn/module.ts";
import { fuseKnownModules } from "../../quantization/eager/fuse.ts";
import { getFuserMethod } from "../../quantization/eager/fuser-methods.ts";
import { classOf } from "../../quantization/eager/types.ts";
import { callsByPath } from "../analysis/trace.ts";
import { isSwappable } from "../analysis/units.ts";
import type { Edit } from "./edits.ts";

const LONGEST_SEQUENCE = 3;

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

/** Path of the module that holds another. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("."), 0));
}

/** Puts a call of module `name` where `node` is. */
export function replaceByCall(graph: Graph, node: Node, name: string, module: AnyModule): Node {
  graph.modules.set(name, module);
  const { args, source } = node;
  const types = node.outputs.map((value) => value.type);
  const call = graph.insert({ kind: "module", target: name, args, types, source, name }, node);
  node.outputs.forEach((value, i) => graph.replaceUses(value, call.outputs[i]!, [call]));
  graph.remove(node);
  return call;
}

/** Copies modules that are called more than once. */
export function separateCalls(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  for (const [path, calls] of callsByPath(graph)) {
    const module = graph.modules.get(path)!;
    if (!(isSwappable(module) || module instanceof ReLU)) continue;
    for (const node of calls.slice(1)) {
      const name = graph.freeAttributeName(path);
      replaceByCall(graph, node, name, module.clone());
      const { location } = node.source;
      edits.push({
        kind: "copy",
        path: parentOf(path),
        location,
        before: `this.${lastName(path)}.forward(...)`,
        after: `this.${lastName(name)}.forward(...)   // ${lastName(name)}: another ${module.constructor.name} like ${lastName(path)}`,
      });
    }
  }
  return edits;
}

function isPlainRelu(node: Node): boolean {
  return node.kind === "operator" && node.target === "relu";
}

/** The module a node calls, with a plain relu counting as a ReLU. */
function moduleOf(graph: Graph, node: Node): AnyModule | null {
  if (node.kind === "module") return graph.modules.get(node.target)!;
  return isPlainRelu(node) ? new ReLU().train(false) : null;
}

/** The nodes that follow each other with no other reader, starting at `node`. */
function chainFrom(graph: Graph, node: Node): Node[] {
  const chain = [node];
  for (let at = node; chain.length < LONGEST_SEQUENCE; at = chain.at(-1)!) {
    const [next] = at.users;
    if (at.outputs.length !== 1 || graph.useCount(at.output) !== 1 || !next || !moduleOf(graph, next)) break;
    chain.push(next);
  }
  return chain;
}

function fusible(modules: readonly AnyModule[]): boolean {
  try {
    getFuserMethod(modules.map(classOf));
    return true;
  } catch (error) {
    if (error instanceof QuantError) return false;
    throw error;
  }
}

/** The longest part of a chain, from its start, that can be fused; empty when none. */
export function fusibleStart(graph: Graph, node: Node): Node[] {
  if (node.kind !== "module") return [];
  const chain = chainFrom(graph, node);
  for (let length = chain.length; length > 1; length--) {
    const part = chain.slice(0, length);
    if (fusible(part.map((one) => moduleOf(graph, one)!))) return part;
  }
  return [];
}

function fuseNodes(graph: Graph, nodes: readonly Node[], isQat: boolean): Edit {
  const [first, ...rest] = nodes as [Node, ...Node[]];
  const modules = nodes.map((node) => moduleOf(graph, node)!.train(isQat));
  const names = nodes.map((node) => (node.kind === "module" ? node.target : `${first.target}_relu`));
  graph.modules.set(first.target, fuseKnownModules(modules, isQat)[0]!);
  for (const node of rest) {
    graph.replaceUses(node.output, first.output);
    graph.remove(node);
  }
  const plain = rest.find(isPlainRelu);
  const list = `["${names.join('", "')}"]`;
  const declared = plain
    ? `${lastName(names[names.length - 1]!)} = new ReLU();   // called instead of relu(...)\n`
    : "";
  const call = isQat ? "fuseModulesQat" : "fuseModules";
  return {
    kind: "fusion",
    path: "",
    location: plain?.source.location ?? "",
    before: "",
    after: `${declared}${call}(model, [${list}])`,
  };
}

/** Fuses all sequences that can be. */
export function fuseSequences(graph: Graph, isQat: boolean): Edit[] {
  const edits: Edit[] = [];
  for (const node of [...graph.nodes]) {
    if (!graph.nodes.includes(node)) continue;
    const nodes = fusibleStart(graph, node);
    if (nodes.length > 0) edits.push(fuseNodes(graph, nodes, isQat));
  }
  return edits;
}
