/** The text of comparisons: an aligned line a layer. */

import type { Comparison, SideBySide } from "./compare.ts";
import { alignRows, short } from "./table.ts";

const percent = (share: number | null): string => (share === null ? "" : `${short(100 * share)} %`);
const optional = (value: number | null): string => (value === null ? "" : short(value));

/** A comparison as aligned text, in the order of the ranking. */
export function comparisonText({ layers, ranking }: Comparison): string {
  const byPath = new Map(layers.map((layer) => [layer.path, layer]));
  const rows = ranking.map((path) => {
    const layer = byPath.get(path)!;
    const { className, sqnr, cosine, maxError, clipping, saturation, lostToZero, errorMadeHere, errorInherited } =
      layer;
    const shares = [percent(clipping), percent(saturation), percent(lostToZero)];
    return [
      path,
      className,
      short(sqnr),
      short(cosine),
      short(maxError),
      ...shares,
      optional(errorMadeHere),
      optional(errorInherited),
    ];
  });
  return alignRows(
    ["layer", "is", "SQNR dB", "cosine", "max error", "clipped", "saturated", "lost to 0", "made here", "inherited"],
    rows,
  );
}

/** Two quantizations side by side, as aligned text. */
export function sideBySideText(rows: readonly SideBySide[], names: readonly [string, string]): string {
  const header = [
    "layer",
    "is",
    ...["SQNR dB", "clipped", "made here"].flatMap((what) => names.map((name) => `${what} ${name}`)),
  ];
  const cells = rows.map(({ path, className, sqnr, clipping, errorMadeHere }) => [
    path,
    className,
    ...sqnr.map(short),
    ...clipping.map(percent),
    ...errorMadeHere.map(optional),
  ]);
  return alignRows(header, cells);
}
