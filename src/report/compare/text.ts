/** The text of comparisons: an aligned line a layer, and histograms of characters. */

import { alignRows, short } from "../table.ts";
import type { Comparison, SideBySide } from "./compare.ts";
import type { LayerComparison } from "./rows.ts";

const percent = (share: number | null): string => (share === null ? "" : `${short(100 * share)} %`);
const optional = (value: number | null): string => (value === null ? "" : short(value));

const HEADER = [
  "layer",
  "is",
  "SQNR dB",
  "cosine",
  "max error",
  "clipped",
  "saturated",
  "lost to 0",
  "made here",
  "inherited",
];

function rowOf(layer: LayerComparison): string[] {
  const { name, className, sqnr, cosine, maxError, clipping, saturation, lostToZero } = layer;
  return [
    name,
    className,
    short(sqnr),
    short(cosine),
    short(maxError),
    ...[clipping, saturation, lostToZero].map(percent),
    optional(layer.errorMadeHere),
    optional(layer.errorInherited),
  ];
}

/** A comparison as aligned text, in the order of the ranking; what could not be compared below. */
export function comparisonText({ layers, ranking, unmatched }: Comparison): string {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const left = unmatched.map(({ name, reason }) => `not compared: ${name}: ${reason}`);
  return [
    alignRows(
      HEADER,
      ranking.map((name) => rowOf(byName.get(name)!)),
    ),
    ...left,
  ].join("\n");
}

/** Two quantizations side by side, as aligned text. */
export function sideBySideText(rows: readonly SideBySide[], names: readonly [string, string]): string {
  const columns = ["SQNR dB", "max error", "clipped", "saturated", "made here"];
  const header = ["layer", "is", ...columns.flatMap((what) => names.map((name) => `${what} ${name}`))];
  const cells = rows.map(({ name, className, sqnr, maxError, clipping, saturation, errorMadeHere }) => [
    name,
    className,
    ...sqnr.map(short),
    ...maxError.map(short),
    ...clipping.map(percent),
    ...saturation.map(percent),
    ...errorMadeHere.map(optional),
  ]);
  return alignRows(header, cells);
}

const BAR = 40;
const LINES = 16;

/** Bins joined to a few lines. */
function linesOf({ min, max, counts }: LayerComparison["histogram"]): { from: number; to: number; count: number }[] {
  const perLine = Math.max(1, Math.ceil(counts.length / LINES));
  const width = (max - min) / Math.max(counts.length, 1);
  return Array.from({ length: Math.ceil(counts.length / perLine) }, (_, i) => {
    const own = counts.slice(i * perLine, (i + 1) * perLine);
    const from = min + i * perLine * width;
    return { from, to: from + own.length * width, count: own.reduce((sum, count) => sum + count, 0) };
  });
}

/**
 * A layer's float values as bars, `#` where the integers reach and `x` where they do not: bars of x are clipped.
 */
export function histogramText({ name, histogram }: LayerComparison): string {
  const lines = linesOf(histogram);
  const most = Math.max(...lines.map(({ count }) => count), 1);
  const { range } = histogram;
  const rows = lines.map(({ from, to, count }) => {
    const inside = range === null || (to > range.min && from < range.max);
    const length = count === 0 ? 0 : Math.max(1, Math.floor((BAR * count) / most));
    return [short(from), "..", short(to), String(count), (inside ? "#" : "x").repeat(length)];
  });
  const reach = range ? `integers reach ${short(range.min)}..${short(range.max)}` : "float";
  return `${name}: ${reach}\n${alignRows(["from", "", "to", "values", ""], rows)}`;
}
