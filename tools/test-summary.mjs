/**
 * Adds up Vitest's JSON reports and ends with one line, `N passed, N failed`. Fails when a test failed, when a report is
 * missing, and when a test file below test/ is in none of them: a pattern that leaves files out would otherwise pass in green.
 *
 *   node tools/test-summary.mjs report.json ...
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(new URL("..", import.meta.url)));
const files = process.argv.slice(2);
const missing = files.filter((file) => !existsSync(file));
const reports = files.filter((file) => existsSync(file)).map((file) => JSON.parse(readFileSync(file, "utf8")));
const ran = new Set(reports.flatMap((report) => report.testResults.map(({ name }) => relative(root, name))));
const left = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => join("test", name))
  .filter((name) => !ran.has(name));

const total = (key) => reports.reduce((sum, report) => sum + report[key], 0);
// A file that does not load has no tests to count, but failed.
const unloaded = reports.flatMap((report) =>
  report.testResults.filter(({ status, assertionResults }) => status === "failed" && assertionResults.length === 0),
);
const passed = total("numPassedTests");
const failed = total("numFailedTests") + unloaded.length;

for (const { name } of unloaded) console.log(`did not load: ${relative(root, name)}`);
for (const file of missing) console.log(`no report: ${file}`);
for (const file of left) console.log(`did not run: ${file}`);
console.log(`${total("numPendingTests")} skipped, ${ran.size} files`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 || missing.length > 0 || left.length > 0 ? 1 : 0);
