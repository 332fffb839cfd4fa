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
import { COLD_GROUP, bundleBytes, coldStarts } from "./cold-start.ts";
import { Driver } from "./lib/drive.ts";
import { judge } from "./bars.ts";
import { DOC_FILE, RESULTS_FILE, writePage } from "./doc.ts";
import { ratio, rate, readResults, thisMachine, writeResults } from "./lib/results.ts";
import type { CaseResult, Results } from "./lib/results.ts";
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
    doc: { type: "boolean", default: false },
  },
});

function cell(result: CaseResult, name: string): string {
  const value = rate(result, name);
  return value === null ? "-" : value.toPrecision(4);
}

function print(results: readonly CaseResult[]): void {
  const names = [...new Set(results.flatMap(({ candidates }) => Object.keys(candidates)))];
  const peers = names.filter((name) => !/^(fewbit|peak)/.test(name));
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

/** Whether `--only` names a case, by a part of its name or by its group. */
function isWanted(name: string, group: string): boolean {
  return options.only.length === 0 || options.only.some((part) => name.includes(part) || group === part);
}

/** Measures what is wanted; every result is stored at once, so that a run may be stopped. Returns the results of this run. */
async function measure(
  keep: (results: readonly CaseResult[], candidates: Results["candidates"]) => void,
): Promise<CaseResult[]> {
  const rounds = Number(options.rounds ?? (options.quick ? QUICK_ROUNDS : ROUNDS));
  const wanted = cases.filter(({ name, group }) => isWanted(name, group));
  const starts = (["f32", "int8"] as const).filter((precision) => isWanted(`cold start, ${precision}`, COLD_GROUP));
  const hasBytes = isWanted("bytes a page loads", "bytes");
  const driver = new Driver();
  const progress = new Progress("bench", wanted.length + starts.length + Number(hasBytes));
  const results: CaseResult[] = [];
  const written = new Set<string>();
  let done = 0;
  const add = (label: string, found: readonly CaseResult[]): void => {
    results.push(...found);
    keep(found, driver.descriptions);
    progress.update(++done, label);
  };
  for (const work of wanted) {
    writeModels(work, written);
    const candidates = options.candidates.split(",").filter(Boolean);
    add(work.name, [await driver.run(work, { rounds, quick: options.quick, wanted: candidates })]);
  }
  driver.stop();
  for (const precision of starts) add(`cold starts, ${precision}`, await coldStarts(precision, rounds));
  if (hasBytes) add("bytes", [await bundleBytes()]);
  return results;
}

function printBars(results: Results): void {
  const known = judge(results).filter(({ value }) => value !== null);
  console.log();
  printTable(
    ["bar", "at least", "measured", "(as it was)", ""],
    known.map(({ work, than, bound, unit, isMost, value, plain, isMet }) => [
      than ? `${work} / ${than}` : work,
      `${isMost ? "<= " : ""}${bound} ${unit}`,
      value!.toPrecision(3),
      plain?.toPrecision(3) ?? "",
      isMet ? "met" : "missed",
    ]),
  );
}

/** @throws when there are no results yet. */
async function document(): Promise<void> {
  const results = readResults(RESULTS_FILE);
  if (!results) throw new Error(`no results in ${RESULTS_FILE}: run the bench with --json ${RESULTS_FILE} first`);
  await writePage(results);
  console.log(`written to ${DOC_FILE}`);
}

if (options.doc) await document();
else {
  const machine = thisMachine();
  const keep = (found: readonly CaseResult[], candidates: Results["candidates"]): Results =>
    writeResults(options.json, { machine, network: networkName, candidates, cases: found });
  const results = await measure(keep);
  print(results);
  printBars(keep([], {}));
  console.log(`written to ${options.json}`);
}
