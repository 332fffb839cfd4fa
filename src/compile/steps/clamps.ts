/**
 * Activations that only limit values to a range. Kernels that write floats take such a range, so the activation
 * behind them costs nothing.
 */

import type { Node } from "../../graph/graph.ts";
import type { Attrs } from "../../ops/op.ts";

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The whole line: no clamp. */
export const unlimited: Range = { low: -Infinity, high: Infinity };

const ranges: ReadonlyMap<string, (attrs: Attrs) => Range> = new Map<string, (attrs: Attrs) => Range>([
  ["relu", () => ({ low: 0, high: Infinity })],
  ["relu6", () => ({ low: 0, high: 6 })],
  ["hardtanh", ({ minVal, maxVal }) => ({ low: minVal as number, high: maxVal as number })],
  ["clamp", ({ min, max }) => ({ low: (min as number | null) ?? -Infinity, high: (max as number | null) ?? Infinity })],
]);

/** The range a node limits its input to; null when it does something else. */
export function clampOf(node: Node): Range | null {
  return node.kind === "operator" ? (ranges.get(node.target)?.(node.attrs) ?? null) : null;
}

export const clampTargets: readonly string[] = [...ranges.keys()];
