/**
 * Matching a backend's patterns against units: chains from a last unit backwards, longest first.
 *
 * A unit inside a chain may be read by nobody else. Where a pattern has a list, the unit after it has several
 * operands, and each matches its own part; MatchAllNode matches whatever stands there.
 * Source: torch/ao/quantization/fx/match_utils.py.
 */

import type { Graph, Value } from "../../graph/graph.ts";
import { MatchAllNode } from "./backend-config.ts";
import type { BackendConfig, BackendPattern, BackendPatternConfig } from "./backend-config.ts";
import { readCount } from "./units.ts";
import type { Unit } from "./units.ts";

/** Units a pattern matched, the one read first (which holds the weight) in front, the last at the end. */
export interface ChainMatch {
  readonly config: BackendPatternConfig;
  readonly units: readonly Unit[];
}

export interface MatchContext {
  readonly graph: Graph;
  readonly producers: ReadonlyMap<Value, Unit>;
}

function sizeOf(pattern: BackendPattern): number {
  if (typeof pattern === "string") return pattern === MatchAllNode ? 0 : 1;
  return (pattern as readonly BackendPattern[]).reduce((sum, part) => sum + sizeOf(part), 0);
}

/** Configs with the longest patterns first, otherwise in the backend's order. */
export function longestFirst(configs: readonly BackendPatternConfig[]): BackendPatternConfig[] {
  return [...configs].sort((a, b) => sizeOf(b.pattern) - sizeOf(a.pattern));
}

function matchOperands(context: MatchContext, unit: Unit, operands: readonly BackendPattern[]): Unit[] | null {
  const { args } = unit;
  if (args.length !== operands.length) return null;
  const found: Unit[] = [];
  for (const [i, operand] of operands.entries()) {
    if (operand === MatchAllNode) continue;
    const from = context.producers.get(args[i]!);
    const inner = from && matchUnits(context, from, operand, false);
    if (!inner) return null;
    found.push(...inner);
  }
  return found;
}

function matchUnits(context: MatchContext, last: Unit, pattern: BackendPattern, isRoot = true): Unit[] | null {
  const chain = typeof pattern === "string" ? [pattern] : (pattern as readonly BackendPattern[]);
  const type = chain.at(-1)!;
  if (last.type !== type || (!isRoot && readCount(context.graph, last) > 1)) return null;
  if (chain.length === 1) return [last];
  const before = chain.slice(0, -1);
  const operands = before[before.length - 1]!;
  if (typeof operands !== "string") {
    const found = matchOperands(context, last, operands);
    return found && [...found, last];
  }
  const [first] = last.args;
  const from = first && context.producers.get(first);
  const rest = from && matchUnits(context, from, before, false);
  return rest ? [...rest, last] : null;
}

/** The first of the patterns that ends at a unit. */
export function matchEndingAt(
  context: MatchContext,
  last: Unit,
  configs: readonly BackendPatternConfig[],
): ChainMatch | null {
  for (const config of configs) {
    const units = matchUnits(context, last, config.pattern);
    if (units) return { config, units };
  }
  return null;
}

/** Every unit's match, found from the last unit to the first; units of one chain share it. */
export function matchAll(context: MatchContext, units: readonly Unit[], backend: BackendConfig): Map<Unit, ChainMatch> {
  const configs = longestFirst(backend.configs);
  const matches = new Map<Unit, ChainMatch>();
  for (const unit of [...units].reverse()) {
    if (matches.has(unit)) continue;
    const match = matchEndingAt(context, unit, configs);
    for (const part of match ? [...match.units].reverse() : []) if (!matches.has(part)) matches.set(part, match!);
  }
  return matches;
}
