/**
 * What a run of the bench leaves behind, as JSON: the times of every round, from which tables and ratios are made.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { BenchCase } from "./case.ts";
import { rateOf } from "./case.ts";
import { median } from "./timing.ts";

export interface Machine {
  readonly processor: string;
  /** The instructions that decide how fast the kernels are. */
  readonly flags: readonly string[];
  readonly cores: number;
  readonly node: string;
  readonly v8: string;
}

export interface CandidateResult {
  /** Milliseconds of a call, one entry a round; the same entry of two candidates was measured one after the other. */
  readonly ms: readonly number[];
  /** Largest difference from the first candidate's output, and that output's largest value; null when not compared. */
  readonly error: number | null;
  readonly note: string;
  readonly skipped?: string;
  /** Operations of a call, of a yardstick: its rate is in GOP/s whatever the case's unit. */
  readonly amount?: number;
}

export interface CaseResult {
  readonly name: string;
  readonly group: string;
  readonly amount: number;
  readonly unit: BenchCase["unit"];
  readonly date: string;
  /** Largest value of the output that is compared with. */
  readonly largest: number | null;
  readonly candidates: Readonly<Record<string, CandidateResult>>;
}

export interface Results {
  readonly machine: Machine;
  /** What the network of the cases was. */
  readonly network: string;
  readonly candidates: Readonly<Record<string, string>>;
  readonly cases: readonly CaseResult[];
}

const FLAGS = ["avx2", "fma", "avx_vnni", "avx512_vnni", "avx512f", "amx_int8", "asimddp", "i8mm"];

function processorFlags(): string[] {
  if (!existsSync("/proc/cpuinfo")) return [];
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  const present = new Set(line.split(/\s+/));
  return FLAGS.filter((flag) => present.has(flag));
}

export function thisMachine(): Machine {
  return {
    processor: os.cpus()[0]?.model.trim() ?? "unknown",
    flags: processorFlags(),
    cores: os.cpus().length,
    node: process.version,
    v8: process.versions.v8,
  };
}

export function readResults(file: string): Results | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Results) : undefined;
}

/** Figures that are kept: more would be noise. */
const DIGITS = 4;

/** JSON with a line for each case. */
function printed({ cases, ...rest }: Results): string {
  const round = (_: string, value: unknown): unknown =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;
  const lines = cases.map((result) => `  ${JSON.stringify(result, round)}`);
  return `${JSON.stringify(rest, null, 1).slice(0, -2)},\n "cases": [\n${lines.join(",\n")}\n ]\n}\n`;
}

/** Writes results; cases of an earlier run on the same machine stay where this run has none. */
export function writeResults(file: string, results: Results): Results {
  const before = readResults(file);
  const keep = before && JSON.stringify(before.machine) === JSON.stringify(results.machine) ? before : undefined;
  const names = new Set(results.cases.map(({ name }) => name));
  const merged = {
    ...results,
    candidates: { ...keep?.candidates, ...results.candidates },
    cases: [...(keep?.cases.filter(({ name }) => !names.has(name)) ?? []), ...results.cases],
  };
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, printed(merged));
  return merged;
}

/** Rate of a candidate, in the case's unit, by the median of its rounds; null when it took no part. */
export function rate(result: CaseResult, candidate: string): number | null {
  const rates = roundRates(result, candidate);
  return rates.length > 0 ? median(rates) : null;
}

/** The rate of each round. */
function roundRates(result: CaseResult, candidate: string): number[] {
  const { ms = [], amount } = result.candidates[candidate] ?? {};
  return ms.map((time) => rateOf(amount === undefined ? result : { amount, unit: "GOP/s" }, time));
}

/** The rate at a processor whose peak is `peak`: of each round, by the peak that a yardstick had in it; the median. */
export function scaledRate(result: CaseResult, candidate: string, yardstick: string, peak: number): number | null {
  const [rates, peaks] = [roundRates(result, candidate), roundRates(result, yardstick)];
  const rounds = Math.min(rates.length, peaks.length);
  return rounds > 0 ? median(Array.from({ length: rounds }, (_, i) => (rates[i]! * peak) / peaks[i]!)) : null;
}

/** How many times as fast `a` is as `b`: the median of the ratios of each round. */
export function ratio(result: CaseResult, a: string, b: string): number | null {
  const [left, right] = [result.candidates[a]?.ms ?? [], result.candidates[b]?.ms ?? []];
  const rounds = Math.min(left.length, right.length);
  if (rounds === 0) return null;
  return median(Array.from({ length: rounds }, (_, i) => right[i]! / left[i]!));
}
