/** Aligned columns of text. */

/** Rows padded to equal columns, a line each; columns all of whose cells are empty are left out. */
export function alignRows(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const kept = header.map((_, i) => i).filter((i) => rows.some((row) => (row[i] ?? "") !== ""));
  const all = [header, ...rows].map((row) => kept.map((i) => row[i] ?? ""));
  const widths = kept.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A number in few digits. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return String(value);
  return value.toPrecision(4);
}
