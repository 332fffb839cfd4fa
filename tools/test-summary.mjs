/**
 * Adds up Vitest's JSON reports and prints one line, `N passed, N failed, N skipped`. Fails when a test failed or
 * none ran.
 *
 *   node tools/test-summary.mjs report.json ...
 */
import { readFileSync } from "node:fs";

const reports = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, "utf8")));
const total = (key) => reports.reduce((sum, report) => sum + report[key], 0);
const [passed, failed, skipped] = ["numPassedTests", "numFailedTests", "numPendingTests"].map(total);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
