/**
 * Which operators become integers, and why the others do not: one decision a node, made before any data is read.
 *
 * Three sweeps. Candidates: the target has the operator in integers, the caller wants it, this call of it has an
 * integer form. Backwards: everything but products is worth it only where a product reads the integers in the end.
 * Forwards: and only where integers already arrive, since turning floats into integers just to move them costs more
 * than it saves.
 */

import { OnnxError } from "../../errors.ts";
import type { Graph, Node, Value } from "../../graph/graph.ts";
import { clampBehind, isProduct, kindOf, refusal } from "./operators.ts";
import type { QuantizeOptions } from "./options.ts";
import { selectNodes } from "./selection.ts";
import type { Settings } from "./settings.ts";
import type { OperatorKind } from "./targets.ts";

export interface Decision {
  readonly quantized: boolean;
  readonly kind: OperatorKind | null;
  readonly why: string;
  /** The clamp that is done on this operator's integers. */
  readonly clamp: Node | null;
  /** Gives floats, because nothing behind it reads integers. */
  readonly floatResult: boolean;
}

const float = (kind: OperatorKind | null, why: string): Decision => ({
  quantized: false,
  kind,
  why,
  clamp: null,
  floatResult: true,
});

class Decider {
  private readonly graph: Graph;
  private readonly settings: Settings;
  private readonly included: ReadonlySet<Node> | null;
  private readonly excluded: ReadonlySet<Node>;
  private readonly reasons = new Map<Node, string>();
  private readonly decisions = new Map<Node, Decision>();
  /** Clamps that the operator before them does. */
  private readonly absorbed = new Map<Node, Node>();

  constructor(graph: Graph, settings: Settings, options: QuantizeOptions, fromFile: boolean) {
    this.graph = graph;
    this.settings = settings;
    this.included = options.include ? selectNodes(graph, options.include, "include", fromFile) : null;
    this.excluded = selectNodes(graph, options.exclude ?? [], "exclude", fromFile);
  }

  run(): ReadonlyMap<Node, Decision> {
    const nodes = this.graph.nodes.filter(({ kind }) => kind === "operator");
    for (const node of nodes) {
      const why = this.against(node);
      if (why !== null) this.reasons.set(node, why);
    }
    for (const node of nodes) this.absorb(node);
    const wanted = this.wantedNodes(nodes);
    for (const node of nodes) this.decisions.set(node, this.decide(node, wanted));
    return this.decisions;
  }

  /** Why a node is no candidate; null when it is one. */
  private against(node: Node): string | null {
    const { target, method } = this.settings;
    const kind = kindOf(node);
    if (this.excluded.has(node)) return "excluded";
    if (this.included && isProduct(kind) && !this.included.has(node)) return "not included";
    const refused = refusal(this.graph, node);
    if (refused !== null || kind === null) return refused ?? "";
    if (method === "weightOnly")
      return kind === "conv" || kind === "linear" || kind === "convTranspose" ? null : "it has no weight";
    const supported = method === "dynamic" ? target.dynamic : target.operators;
    if (!supported.includes(kind))
      return `${target.name} has no ${method === "dynamic" ? "dynamic " : ""}integer form of it`;
    return null;
  }

  private absorb(node: Node): void {
    const kind = kindOf(node);
    if (this.reasons.has(node) || this.settings.method !== "static" || !(isProduct(kind) || kind === "add")) return;
    const clamp = clampBehind(this.graph, node);
    if (clamp && !this.reasons.has(clamp)) this.absorbed.set(clamp, node);
  }

  /** Nodes whose result an integer product reads in the end. */
  private wantedNodes(nodes: readonly Node[]): ReadonlySet<Node> {
    const wanted = new Set<Node>();
    for (const node of [...nodes].reverse()) {
      const reads = node.users.some(
        (user) =>
          !this.reasons.has(user) &&
          (isProduct(kindOf(user)) ? this.readsAsActivation(user, node.outputs[0]!) : wanted.has(user)),
      );
      if (reads) wanted.add(node);
    }
    return wanted;
  }

  private readsAsActivation(user: Node, value: Value): boolean {
    return user.args[0] === value || (kindOf(user) === "matmul" && user.args[1] === value);
  }

  private decide(node: Node, wanted: ReadonlySet<Node>): Decision {
    const kind = kindOf(node);
    const against = this.reasons.get(node);
    if (against !== undefined) return float(kind, against);
    if (this.settings.method !== "static")
      return {
        quantized: true,
        kind,
        why: this.settings.method === "dynamic" ? "a product of integers, ranges taken at run time" : "its weight",
        clamp: null,
        floatResult: true,
      };
    const by = this.absorbed.get(node);
    if (by) return this.absorbedBy(by, kind);
    const clamp = [...this.absorbed].find(([, owner]) => owner === node)?.[0] ?? null;
    const read = wanted.has(clamp ?? node);
    if (isProduct(kind)) {
      const floatResult = !read && this.settings.target.floatResults.includes(kind!);
      return { quantized: true, kind, why: "a product of integers", clamp: floatResult ? null : clamp, floatResult };
    }
    if (!read) return float(kind, "no integer product reads its result");
    if (!node.inputs.some((value) => this.givesIntegers(value.node))) return float(kind, "no integers arrive at it");
    return { quantized: true, kind, why: "between integers", clamp, floatResult: false };
  }

  private absorbedBy(owner: Node, kind: OperatorKind | null): Decision {
    const decision = this.decisions.get(owner)!;
    const name = owner.outputs[0]!.name;
    if (decision.quantized && decision.clamp) {
      return { quantized: true, kind, why: `done on the integers of ${name}`, clamp: null, floatResult: false };
    }
    return float(kind, decision.quantized ? `reads the floats of ${name}` : "no integers arrive at it");
  }

  private givesIntegers(node: Node): boolean {
    const decision = this.decisions.get(node);
    return !!decision && decision.quantized && !decision.floatResult;
  }
}

/**
 * A decision for every operator of the graph.
 * @throws OnnxError for selectors that name nothing, and when not one operator becomes integers.
 */
export function decide(
  graph: Graph,
  settings: Settings,
  options: QuantizeOptions,
  fromFile: boolean,
): ReadonlyMap<Node, Decision> {
  return new Decider(graph, settings, options, fromFile).run();
}

/** @throws OnnxError when nothing is left to quantize, with the commonest reasons. */
export function requireSome(decisions: ReadonlyMap<Node, Decision>): void {
  if ([...decisions.values()].some(({ quantized }) => quantized)) return;
  const counts = new Map<string, number>();
  for (const { why } of decisions.values()) counts.set(why, (counts.get(why) ?? 0) + 1);
  const reasons = [...counts].sort(([, a], [, b]) => b - a).slice(0, 3);
  throw new OnnxError(
    "quantizeOnnx",
    { operators: decisions.size },
    "nothing in the model can be quantized",
    `Mostly because: ${reasons.map(([why, count]) => `${why} (${count})`).join("; ")}`,
  );
}
