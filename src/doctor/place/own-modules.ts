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
import { below, lastName, parentOf } from "./edits.ts";
import type { Edit, Owners } from "./edits.ts";

const LONGEST_SEQUENCE = 3;

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
export function separateCalls(graph: Graph, owners: Owners): Edit[] {
  const edits: Edit[] = [];
  for (const [path, calls] of callsByPath(graph)) {
    const module = graph.modules.get(path)!;
    if (!(isSwappable(module) || module instanceof ReLU)) continue;
    for (const node of calls.slice(1)) {
      const name = graph.freeAttributeName(path);
      replaceByCall(graph, node, name, module.clone());
      const own = lastName(name);
      edits.push({
        ...owners.of(parentOf(path)),
        kind: "copy",
        location: node.source.location,
        declare: `${own} = new ${module.constructor.name}(...);   // another one like ${lastName(path)}`,
        before: `this.${lastName(path)}.forward(...)`,
        after: `this.${own}.forward(...)`,
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

/** Fuses nodes, and gives plain relus among them a name as modules. */
class Fuser {
  private readonly graph: Graph;
  private readonly isQat: boolean;
  private readonly owners: Owners;
  private readonly named = new Set<string>();

  constructor(graph: Graph, isQat: boolean, owners: Owners) {
    this.graph = graph;
    this.isQat = isQat;
    this.owners = owners;
  }

  fuse(nodes: readonly Node[]): Edit[] {
    const { graph, isQat } = this;
    const [first, ...rest] = nodes as [Node, ...Node[]];
    const modules = nodes.map((node) => moduleOf(graph, node)!.train(isQat));
    const plain = rest.find(isPlainRelu);
    const reluName = plain ? this.reluName(plain) : "";
    const names = nodes.map((node) => (node.kind === "module" ? node.target : reluName));
    graph.modules.set(first.target, fuseKnownModules(modules, isQat)[0]!);
    for (const node of rest) {
      graph.replaceUses(node.output, first.output);
      graph.remove(node);
    }
    const list = {
      ...this.owners.of(""),
      kind: "fusion",
      location: "",
      declare: "",
      before: isQat ? "fuseModulesQat" : "fuseModules",
      after: `["${names.join('", "')}"]`,
    } as const;
    return plain ? [this.reluEdit(plain, reluName), list] : [list];
  }

  private reluName({ source }: Node): string {
    const stem = below(this.owners.of(source.path), "relu");
    let name = stem;
    for (let i = 1; this.named.has(name) || this.graph.modules.has(name); i++) name = `${stem}_${i}`;
    this.named.add(name);
    return name;
  }

  private reluEdit({ source }: Node, name: string): Edit {
    const own = lastName(name);
    return {
      ...this.owners.of(source.path),
      kind: "module",
      location: source.location,
      declare: `${own} = new ReLU();`,
      before: "relu(...)",
      after: `this.${own}.forward(...)`,
    };
  }
}

/** Fuses all sequences that can be. */
export function fuseSequences(graph: Graph, isQat: boolean, owners: Owners): Edit[] {
  const fuser = new Fuser(graph, isQat, owners);
  const edits: Edit[] = [];
  for (const node of [...graph.nodes]) {
    if (!graph.nodes.includes(node)) continue;
    const nodes = fusibleStart(graph, node);
    if (nodes.length > 0) edits.push(...fuser.fuse(nodes));
  }
  return edits;
}
