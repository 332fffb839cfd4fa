/**
 * Runs every example as a user would and reports each. Examples that need data which is not there end with code 2
 * and a sentence; that counts as skipped.
 *
 *   node tools/run-examples.mjs [name ...]
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const NO_DATA = 2;
/** Shorter runs than a person would want, where an example takes a number of steps. */
const shortArguments = { "resnet20-eager.ts": ["", "20"] };

const wanted = process.argv.slice(2);
const examples = readdirSync(path.join(root, "examples"))
  .filter((name) => name.endsWith(".ts"))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const name of examples) {
  const started = performance.now();
  const args = (shortArguments[name] ?? []).filter((arg, i) => arg !== "" || i > 0);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      "--conditions=fewbit-source",
      path.join("examples", name),
      ...(args.length > 0 ? [path.join(root, "../shared/data"), ...args] : []),
    ],
    { cwd: root, encoding: "utf8" },
  );
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const outcome = status === 0 ? "passed" : status === NO_DATA ? "skipped" : "failed";
  counts[outcome]++;
  console.log(`${outcome}  ${name}  ${seconds} s`);
  if (outcome === "passed") console.log(stdout.trim().replace(/^/gm, "    "));
  else console.log(stderr.trim().split("\n").slice(-15).join("\n").replace(/^/gm, "    "));
}
console.log(`examples: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed > 0 ? 1 : 0);
