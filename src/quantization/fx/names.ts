/**
 * How settings name what they are about: a class of modules (`nn.Conv2d`, or its name) or an operator ("add").
 * One string a type, because a graph knows the modules it was captured from by class name; operators start in
 * lower case, classes in upper case, so the two cannot meet.
 */

import { QuantError } from "../../errors.ts";

/** A module class, the name of one, or an operator's name. */
export type ObjectType = string | (abstract new (...args: never[]) => object);

export function objectTypeName(type: ObjectType): string {
  return typeof type === "string" ? type : type.name;
}

/** Steps of inserting, dropping or changing a letter from one word to the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

const SUGGESTIONS = 3;

/** The known names most like a given one. */
export function nearNames(name: string, known: Iterable<string>): string[] {
  const scored = [...new Set(known)].map(
    (candidate) => [editDistance(name.toLowerCase(), candidate.toLowerCase()), candidate] as const,
  );
  return scored
    .sort(([a], [b]) => a - b)
    .slice(0, SUGGESTIONS)
    .map(([, candidate]) => candidate);
}

/** @throws QuantError naming what was given and the names most like it. */
export function unknownName(where: string, what: string, name: string, known: Iterable<string>): never {
  throw new QuantError(where, { [what]: name, near: nearNames(name, known) }, `the model has no such ${what}`);
}
