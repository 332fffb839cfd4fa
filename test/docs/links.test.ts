/** Pages name files that exist, and the index names every page. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");
const docs = path.join(root, "docs");
const pages = readdirSync(docs).filter((name) => name.endsWith(".md"));
const files = [path.join(root, "README.md"), ...pages.map((name) => path.join(docs, name))];

/** Headings as anchors, the way repository hosts make them. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, text]) =>
    text!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function linksIn(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
}

const links = files.flatMap((file) =>
  linksIn(file)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => [path.relative(root, file), link] as const),
);

test("there are links to check", () => expect(links.length).toBeGreaterThan(4));

test.each(links)("%s links to %s, which exists", (from, link) => {
  const [target, anchor] = link.split("#") as [string, string?];
  const file = target === "" ? path.join(root, from) : path.join(root, path.dirname(from), target);
  expect(existsSync(file), file).toBe(true);
  if (anchor !== undefined) expect(anchorsOf(file)).toContain(anchor);
});

test.each(pages.filter((name) => name !== "README.md"))("the index lists %s", (name) => {
  expect(linksIn(path.join(docs, "README.md"))).toContain(name);
});

/** Files pages speak of in code spans: `examples/demo.ts`, `src/ops/op.ts`. Folders and patterns are left out. */
const mentioned = files.flatMap((file) =>
  [
    ...readFileSync(file, "utf8").matchAll(/`((?:src|docs|examples|test|golden|bench|tools|data)\/[\w./-]+\.\w+)`/g),
  ].map((match) => [path.relative(root, file), match[1]!] as const),
);

test.each(mentioned)("%s speaks of %s, which exists", (_from, file) => {
  expect(existsSync(path.join(root, file))).toBe(true);
});
