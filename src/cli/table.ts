/** Rows as aligned text under a line: text to the left, numbers to the right. */

const numeric = /^[-+]?[\d.,]+(e[-+]?\d+)?( ?(%|dB|ms|s|min|B|kB|MB|GB|x|\/s))?$|^$|^(Infinity|NaN|equal|-)$/;

/** A table; columns without a single value are left out. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = header
    .map((title, i) => ({ title, cells: rows.map((row) => row[i] ?? "") }))
    .filter(({ cells }) => cells.some((cell) => cell !== ""))
    .map(({ title, cells }) => ({
      title,
      cells,
      width: Math.max(title.length, ...cells.map(({ length }) => length)),
      right: cells.every((cell) => numeric.test(cell)),
    }));
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ width, right }, i) => (right ? cells[i]!.padStart(width) : cells[i]!.padEnd(width)))
      .join("  ")
      .trimEnd();
  return [
    line(columns.map(({ title }) => title)),
    columns.map(({ width }) => "─".repeat(width)).join("──"),
    ...rows.map((_, row) => line(columns.map(({ cells }) => cells[row]!))),
  ].join("\n");
}

/** "name   value" lines. */
export function pairs(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries
    .map(([name, value]) => `${name.padEnd(width)}  ${value.replaceAll("\n", `\n${" ".repeat(width + 2)}`)}`)
    .join("\n");
}
