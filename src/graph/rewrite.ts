/**
 * Rewriting: rules are data (name, pattern, builder), passes are lists of rules in the order they are tried,
 * pipelines are lists of passes. One driver runs them all and verifies the graph after each pass.
 */

import { GraphError } from "../errors.ts";
import type { Attrs } from "../ops/op.ts";
import { findOp } from "../ops/op.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Value, describe, noSource } from "./graph.ts";
import type { Argument, Graph, Node, Source } from "./graph.ts";
import { OpPattern, matchAt } from "./match.ts";
import type { Match, Pattern } from "./match.ts";
import { verify } from "./verify.ts";

/** An operator's record (which makes sure that it is defined), or its name. */
export type Callee = string | { readonly name: string };

/** Makes nodes, right before the node they replace or at the end of the graph; types come from the operators. */
export class Builder {
  private readonly graph: Graph;
  private readonly before: Node | null;
  private readonly source: Source;

  constructor(graph: Graph, before: Node | null) {
    this.graph = graph;
    this.before = before;
    this.source = before?.source ?? noSource;
  }

  /** A call of an operator (its record, or its name) with one output. */
  call(operator: Callee, args: readonly Argument[], attrs: Attrs = {}, name?: string): Value {
    return this.callMany(operator, args, attrs, name)[0]!;
  }

  callMany(operator: Callee, args: readonly Argument[], attrs: Attrs = {}, name?: string): readonly Value[] {
    const target = typeof operator === "string" ? operator : operator.name;
    const inputs = args.map((arg) => (arg instanceof Value ? arg.type : arg));
    const types = findOp(target).infer(inputs, attrs);
    return this.graph.insert(
      { kind: "operator", target, args, attrs, types, name: name ?? target, source: this.source },
      this.before,
    ).outputs;
  }

  /** Stores a new tensor and returns the value that stands for it. */
  constant(tensor: Tensor, stem: string): Value {
    return this.graph.attribute(this.graph.freeAttributeName(stem), tensor);
  }
}

/** What replaces the root's first output; null = the rule does not apply after all. */
export type Rewrite = (match: Match, build: Builder) => Argument | null;

export interface Rule {
  readonly name: string;
  readonly pattern: Pattern;
  readonly rewrite: Rewrite;
}

export function rule(name: string, pattern: Pattern, rewrite: Rewrite): Rule {
  return { name, pattern, rewrite };
}

/** A change of a whole graph, in place. */
export interface Pass {
  readonly name: string;
  run(graph: Graph): void;
}

/** Rewrites per pass, as a multiple of the number of nodes, after which the rules must be going in circles. */
const REWRITES_PER_NODE = 20;

/** Rules by the operator at their root, in their order; most nodes are no rule's root. */
function byTarget(rules: readonly Rule[]): (node: Node) => readonly Rule[] {
  const general = rules.filter(({ pattern }) => !(pattern instanceof OpPattern));
  const targets = new Set(rules.flatMap(({ pattern }) => (pattern instanceof OpPattern ? pattern.targets : [])));
  const indexed = new Map(
    [...targets].map((target) => [
      target,
      rules.filter(({ pattern }) => !(pattern instanceof OpPattern) || pattern.targets.includes(target)),
    ]),
  );
  return ({ target }) => indexed.get(target) ?? general;
}

function applyFirst(graph: Graph, node: Node, rules: readonly Rule[]): string | null {
  for (let i = 0; i < rules.length; i++) {
    const { name, pattern, rewrite } = rules[i]!;
    if (pattern instanceof OpPattern && !pattern.mayMatch(node)) continue;
    const match = matchAt(graph, pattern, node);
    if (!match) continue;
    const replacement = rewrite(match, new Builder(graph, node));
    if (replacement === null) continue;
    graph.replaceUses(node.outputs[0]!, replacement);
    return name;
  }
  return null;
}

/** A pass that applies rules until none applies; at each node the first that matches wins, so longer ones come first. */
export function rewritePass(name: string, rules: readonly Rule[]): Pass {
  const rulesOf = byTarget(rules);
  return {
    name,
    run(graph) {
      const gone = new Set<Node>();
      const limit = REWRITES_PER_NODE * Math.max(graph.nodes.length, 10);
      const fired: string[] = [];
      for (let changed = true; changed;) {
        changed = false;
        for (const node of [...graph.nodes]) {
          if (gone.has(node)) continue;
          const applied = applyFirst(graph, node, rulesOf(node));
          if (!applied) continue;
          changed = true;
          fired.push(applied);
          if (fired.length > limit) {
            throw new GraphError(
              `pass ${name}`,
              { node: describe(node), lastRules: fired.slice(-2) },
              "its rules go in circles",
            );
          }
          removeUnread(graph, node, gone);
        }
      }
      if (fired.length > 0) removeDead(graph);
    },
  };
}

/** Removes a node nobody reads, and what only it read; notes them in `gone`. */
function removeUnread(graph: Graph, node: Node, gone: Set<Node>): void {
  if (node.kind === "input" || gone.has(node) || node.outputs.some((value) => graph.useCount(value) > 0)) return;
  graph.remove(node);
  gone.add(node);
  for (const arg of node.args) if (arg instanceof Value) removeUnread(graph, arg.node, gone);
}

/** Removes nodes nobody reads, except inputs. */
export function removeDead(graph: Graph): void {
  for (const node of [...graph.nodes].reverse()) {
    if (node.kind === "input") continue;
    if (node.outputs.every((value) => graph.useCount(value) === 0)) graph.remove(node);
  }
  graph.collectGarbage();
}

/** Runs passes in order, verifying after each. @throws GraphError naming the pass that broke the graph. */
export function runPasses(graph: Graph, passes: readonly Pass[]): Graph {
  for (const pass of passes) {
    pass.run(graph);
    try {
      verify(graph);
    } catch (cause) {
      if (cause instanceof GraphError) cause.message = `after pass ${pass.name}: ${cause.message}`;
      throw cause;
    }
  }
  return graph;
}
