/**
 * The pattern matcher. A pattern is a small tree written in the graph's own terms and matched from its root
 * (the last node) upwards; captures are the pattern objects themselves, so types flow and names cannot clash.
 *
 *   const x = any(), w = constant();
 *   const conv = op(["conv2d"], x, w, any()).usedOnce();
 *   const pattern = op(["relu"], conv);
 */

import type { Tensor } from "../tensor/tensor.ts";
import { Value } from "./graph.ts";
import type { Argument, Graph, Node } from "./graph.ts";

/** What a pattern was matched with. */
export class Match {
  readonly graph: Graph;
  readonly root: Node;
  private readonly found: ReadonlyMap<Pattern, Argument>;

  constructor(graph: Graph, root: Node, found: ReadonlyMap<Pattern, Argument>) {
    this.graph = graph;
    this.root = root;
    this.found = found;
  }

  /** The argument a pattern stands for. */
  arg(pattern: Pattern): Argument {
    return this.found.get(pattern) ?? null;
  }

  value(pattern: Pattern): Value {
    return this.found.get(pattern) as Value;
  }

  node(pattern: Pattern): Node {
    return this.value(pattern).node;
  }

  /** The stored tensor a `constant` pattern stands for; null for an optional one that is absent. */
  tensor(pattern: Pattern): Tensor | null {
    return this.graph.tensorOf(this.arg(pattern));
  }

  has(pattern: Pattern): boolean {
    return this.found.has(pattern);
  }

  /** All nodes the pattern covered, root included. */
  get nodes(): Node[] {
    const nodes = [...this.found].flatMap(([pattern, arg]) =>
      pattern instanceof OpPattern && arg instanceof Value ? [arg.node] : [],
    );
    return [...new Set(nodes)];
  }
}

/** What was found so far, in order, so that a failed attempt is undone. */
class Found {
  readonly places = new Map<Pattern, Argument>();
  private readonly order: Pattern[] = [];

  get mark(): number {
    return this.order.length;
  }

  note(pattern: Pattern, arg: Argument): void {
    this.places.set(pattern, arg);
    this.order.push(pattern);
  }

  undo(mark: number): void {
    while (this.order.length > mark) this.places.delete(this.order.pop()!);
  }
}

export abstract class Pattern {
  protected abstract test(graph: Graph, arg: Argument, found: Found): boolean;

  /** Matches here, or undoes what it noted. The same pattern object twice must match the same argument. */
  match(graph: Graph, arg: Argument, found: Found): boolean {
    if (found.places.has(this)) return found.places.get(this) === arg;
    const { mark } = found;
    found.note(this, arg);
    if (this.test(graph, arg, found)) return true;
    found.undo(mark);
    return false;
  }
}

class AnyPattern extends Pattern {
  private readonly accepts: (graph: Graph, arg: Argument) => boolean;

  constructor(accepts: (graph: Graph, arg: Argument) => boolean) {
    super();
    this.accepts = accepts;
  }

  protected override test(graph: Graph, arg: Argument): boolean {
    return this.accepts(graph, arg);
  }
}

export class OpPattern extends Pattern {
  readonly targets: readonly string[];
  private readonly args: readonly Pattern[];
  private predicate: (node: Node) => boolean = () => true;
  private single = false;
  private commutes = false;

  constructor(targets: readonly string[], args: readonly Pattern[]) {
    super();
    this.targets = targets;
    this.args = args;
  }

  /** Only when nothing else reads the result. */
  usedOnce(): this {
    this.single = true;
    return this;
  }

  /** Only for nodes that satisfy `predicate`. */
  where(predicate: (node: Node) => boolean): this {
    this.predicate = predicate;
    return this;
  }

  /** The first two arguments may stand in either order. */
  commutative(): this {
    this.commutes = true;
    return this;
  }

  /** Whether the operators are the wanted ones, as far as the pattern names them in a fixed order: a quick look before matching. */
  mayMatch(node: Node): boolean {
    if (node.kind !== "operator" || !this.targets.includes(node.target)) return false;
    if (this.commutes) return true;
    for (let i = 0; i < this.args.length; i++) {
      const pattern = this.args[i];
      const arg = node.args[i];
      if (pattern instanceof OpPattern && !(arg instanceof Value && pattern.mayMatch(arg.node))) return false;
    }
    return true;
  }

  protected override test(graph: Graph, arg: Argument, found: Found): boolean {
    if (!(arg instanceof Value)) return false;
    const { node } = arg;
    if (node.kind !== "operator" || !this.targets.includes(node.target) || !this.predicate(node)) return false;
    if (this.single && graph.useCount(arg) !== 1) return false;
    const [first, second, ...rest] = node.args;
    if (this.matchArgs(graph, node.args, found)) return true;
    return (
      this.commutes &&
      first !== undefined &&
      second !== undefined &&
      this.matchArgs(graph, [second, first, ...rest], found)
    );
  }

  private matchArgs(graph: Graph, args: readonly Argument[], found: Found): boolean {
    const { mark } = found;
    const fits = this.args.every((pattern, i) => pattern.match(graph, args[i] ?? null, found));
    if (!fits) found.undo(mark);
    return fits;
  }
}

class OneOfPattern extends Pattern {
  private readonly choices: readonly Pattern[];

  constructor(choices: readonly Pattern[]) {
    super();
    this.choices = choices;
  }

  protected override test(graph: Graph, arg: Argument, found: Found): boolean {
    return this.choices.some((choice) => choice.match(graph, arg, found));
  }
}

/** Anything, an absent optional input included. */
export function any(): Pattern {
  return new AnyPattern(() => true);
}

/** A computed or stored value. */
export function value(): Pattern {
  return new AnyPattern((_, arg) => arg instanceof Value);
}

/** A stored tensor. */
export function constant(): Pattern {
  return new AnyPattern((graph, arg) => graph.tensorOf(arg) !== null);
}

/** A stored tensor, or an optional input left out. */
export function optionalConstant(): Pattern {
  return new AnyPattern((graph, arg) => arg === null || graph.tensorOf(arg) !== null);
}

/** A number literal. */
export function literal(): Pattern {
  return new AnyPattern((_, arg) => typeof arg === "number");
}

/** A call of one of the named operators; arguments not given are not looked at. */
export function op(targets: string | readonly string[], ...args: readonly Pattern[]): OpPattern {
  return new OpPattern(typeof targets === "string" ? [targets] : targets, args);
}

/** The first alternative that matches. */
export function oneOf(...choices: readonly Pattern[]): Pattern {
  return new OneOfPattern(choices);
}

/** Matches a pattern whose root is an operator call, ending at `node`. */
export function matchAt(graph: Graph, pattern: Pattern, node: Node): Match | null {
  const output = node.outputs[0];
  if (!output) return null;
  const found = new Found();
  return pattern.match(graph, output, found) ? new Match(graph, node, found.places) : null;
}
