/**
 * Names close to one that was not found, for error messages.
 */

/** Edit distance: insertions, deletions and substitutions (Levenshtein, 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Up to three known names that are a few letters away, or end the same way; nearest first. */
export function nearNames(name: string, known: readonly string[]): string[] {
  const last = name.split(".").at(-1);
  const limit = Math.max(2, Math.floor(name.length / 3));
  return known
    .map((one) => ({ one, far: one.split(".").at(-1) === last ? 0 : distance(name, one) }))
    .filter(({ far }) => far <= limit)
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ one }) => one);
}
