/**
 * Fuzzes the importer on demand:
 *
 *   npm run fuzz                        100 000 files
 *   npm run fuzz -- 5000 --from 20000   fewer, from a number on
 *   npm run fuzz -- --one 12345         a single file, its bytes in output/fuzz-12345.onnx
 *
 * A worker imports, this thread watches: a file that takes more processor time than the limit (a busy machine is no
 * finding), or more memory, is a finding like an error that is not typed. Ends with 1 when there are findings.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { parseArgs } from "node:util";
import { fuzzFile, importFuzzed, seedModels } from "./fuzz.ts";
import type { FuzzOutcome } from "./fuzz.ts";

const LIMIT_MS = 10_000;
const LIMIT_BYTES = 2e9;
const REPORT_EVERY_MS = 5000;

interface Message {
  readonly number: number;
  readonly kind: string;
  readonly state: "begin" | FuzzOutcome | "finding";
  readonly milliseconds?: number;
  readonly bytes?: number;
  readonly error?: string;
}

function work({ from, to }: { from: number; to: number }): void {
  const seeds = seedModels();
  const tell = (message: Message): void => parentPort!.postMessage(message);
  for (let number = from; number < to; number++) {
    tell({ number, kind: "?", state: "begin" });
    let kind = "?";
    try {
      const file = fuzzFile(number, seeds);
      kind = file.kind;
      tell({ number, kind, state: "begin" });
      const started = performance.now();
      const state = importFuzzed(file.bytes);
      const { arrayBuffers, heapUsed } = process.memoryUsage();
      tell({ number, kind, state, milliseconds: performance.now() - started, bytes: arrayBuffers + heapUsed });
    } catch (error) {
      tell({ number, kind, state: "finding", error: (error as Error).stack ?? String(error) });
    }
  }
}

interface Totals {
  imported: number;
  refused: number;
  slowest: Message | null;
  largest: Message | null;
  readonly findings: string[];
}

function note(totals: Totals, message: Message): void {
  const { state, milliseconds = 0, bytes = 0 } = message;
  if (state === "finding") totals.findings.push(`file ${message.number} (${message.kind}): ${message.error!}`);
  if (state === "imported" || state === "refused") {
    totals[state]++;
    if (milliseconds > (totals.slowest?.milliseconds ?? 0)) totals.slowest = message;
    if (bytes > (totals.largest?.bytes ?? 0)) totals.largest = message;
    if (bytes > LIMIT_BYTES) totals.findings.push(`file ${message.number} (${message.kind}): ${bytes} bytes in use`);
  }
}

/** Processor time of this process so far; all but the worker's is next to nothing. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Runs files from..to in a worker; resolves with the number to go on from. */
function runPart(from: number, to: number, totals: Totals): Promise<number> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { from, to }, execArgv: process.execArgv });
    let current: Message | null = null;
    let since = processorMs();
    let ended = false;
    const stop = (next: number): void => {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      void worker.terminate().then(() => resolve(next));
    };
    const timer = setInterval(() => {
      if (current?.state !== "begin" || processorMs() - since < LIMIT_MS) return;
      totals.findings.push(
        `file ${current.number} (${current.kind}): not done after ${LIMIT_MS / 1000} s of processor time`,
      );
      stop(current.number + 1);
    }, 500);
    worker.on("message", (message: Message) => {
      current = message;
      since = processorMs();
      note(totals, message);
    });
    worker.on("error", (error: Error) => {
      const { number, kind } = current ?? { number: from, kind: "?" };
      totals.findings.push(`file ${number} (${kind}): the worker ended: ${error.message}`);
      stop(number + 1);
    });
    worker.on("exit", () => stop(to));
  });
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { from: { type: "string" }, one: { type: "string" } },
  });
  if (values.one !== undefined) {
    const { kind, bytes } = fuzzFile(Number(values.one), seedModels());
    mkdirSync("output", { recursive: true });
    writeFileSync(`output/fuzz-${values.one}.onnx`, bytes);
    console.log(`file ${values.one} (${kind}), ${bytes.length} bytes: ${importFuzzed(bytes)}`);
    return 0;
  }
  const from = Number(values.from ?? 0);
  const to = from + Number(positionals[0] ?? 100_000);
  const totals: Totals = { imported: 0, refused: 0, slowest: null, largest: null, findings: [] };
  const timer = setInterval(() => {
    const { imported, refused, findings } = totals;
    console.error(`${imported + refused}/${to - from} files, ${findings.length} findings`);
  }, REPORT_EVERY_MS);
  for (let at = from; at < to;) at = await runPart(at, to, totals);
  clearInterval(timer);
  const { imported, refused, slowest, largest, findings } = totals;
  for (const finding of findings) console.log(finding);
  console.log(`${imported} imported, ${refused} refused with a sentence, ${findings.length} findings`);
  if (slowest) console.log(`slowest: file ${slowest.number} (${slowest.kind}), ${slowest.milliseconds!.toFixed(0)} ms`);
  if (largest)
    console.log(`most memory: file ${largest.number} (${largest.kind}), ${(largest.bytes! / 1e6).toFixed(0)} MB`);
  return findings.length > 0 ? 1 : 0;
}

if (isMainThread) process.exitCode = await main();
else work(workerData as { from: number; to: number });
