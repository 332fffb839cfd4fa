/**
 * The bench: fewbit beside its peers, each in a process of its own, taking turns.
 *
 *     npm run bench                            everything
 *     npm run bench -- --quick --only network  some cases (by parts of their names or groups), fewer and shorter batches
 *     npm run bench -- --candidates fewbit,ort-web --rounds 31 --json output/mine.json
 *     npm run bench -- --doc                   writes docs/performance.md from the results file, without measuring
 */

import { parseArgs } from "node:util";
import { Progress } from "../examples/lib/progress.ts";
import { printTable } from "../examples/lib/table.ts";
import { cases } from "./cases.ts";
import { Driver } from "./lib/drive.ts";
import { ratio, rate, thisMachine, writeResults } from "./lib/results.ts";
import type { CaseResult } from "./lib/results.ts";
import { writeModels } from "./models/files.ts";
import { networkName } from "./models/networks.ts";

const ROUNDS = 15;
const QUICK_ROUNDS = 5;

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    candidates: { type: "string", default: "" },
    rounds: { type: "string" },
    json: { type: "string", default: "output/bench.json" },
  },
});

function cell(result: CaseResult, name: string): string {
  const value = rate(result, name);
  return value === null ? "-" : value.toPrecision(4);
}

function print(results: readonly CaseResult[]): void {
  const names = [...new Set(results.flatMap(({ candidates }) => Object.keys(candidates)))];
  const peers = names.filter((name) => !name.startsWith("fewbit"));
  const times = (value: number | null): string => (value === null ? "-" : `${value.toFixed(2)}x`);
  printTable(
    ["", "unit", ...names, ...peers.map((peer) => `fewbit / ${peer}`)],
    results.map((result) => [
      result.name,
      result.unit,
      ...names.map((name) => cell(result, name)),
      ...peers.map((peer) => times(ratio(result, "fewbit", peer))),
    ]),
  );
  for (const { name, largest, candidates } of results) {
    for (const [candidate, { error, skipped, note }] of Object.entries(candidates)) {
      if (skipped !== undefined) console.log(`${name}: ${candidate} takes no part: ${skipped}`);
      else if (error)
        console.log(`${name}: ${candidate} differs by ${error.toPrecision(2)} of ${largest?.toPrecision(2)}`);
      if (note) console.log(`${name}: ${candidate} ran ${note}`);
    }
  }
}

const wanted = cases.filter(
  ({ name, group }) => options.only.length === 0 || options.only.some((part) => name.includes(part) || group === part),
);
const driver = new Driver();
const progress = new Progress("bench", wanted.length);
const results: CaseResult[] = [];
const written = new Set<string>();
for (const [i, work] of wanted.entries()) {
  writeModels(work, written);
  results.push(
    await driver.run(work, {
      rounds: Number(options.rounds ?? (options.quick ? QUICK_ROUNDS : ROUNDS)),
      quick: options.quick,
      wanted: options.candidates.split(",").filter(Boolean),
    }),
  );
  progress.update(i + 1, work.name);
}
driver.stop();
print(results);
writeResults(options.json, {
  machine: thisMachine(),
  network: networkName,
  candidates: driver.descriptions,
  cases: results,
});
console.log(`written to ${options.json}`);
