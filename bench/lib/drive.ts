/**
 * Drives the candidates through a case: all prepare it, then take turns, one batch each, for a number of rounds.
 */

import { isNarrow } from "../candidates/list.ts";
import type { Reply, Request } from "./candidate.ts";
import type { BenchCase } from "./case.ts";
import { CandidateProcess } from "./child.ts";
import { withoutAvx512 } from "./hide-avx512.ts";
import type { CandidateResult, CaseResult } from "./results.ts";

export interface DriveOptions {
  readonly rounds: number;
  readonly quick: boolean;
  /** Only these candidates, if given. */
  readonly wanted: readonly string[];
}

/** A batch in which a candidate had a processor for less of the time than this is tried again, so often. */
const UNDISTURBED = 0.97;
const ATTEMPTS = 5;

interface Entry {
  readonly name: string;
  readonly ms: number[];
  output: Float32Array | null;
  note: string;
  amount?: number;
  skipped?: string;
}

function largestOf(values: Float32Array): number {
  return values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
}

/** Largest difference of two outputs; Infinity when they differ in length. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  return a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0);
}

export class Driver {
  private readonly processes = new Map<string, CandidateProcess>();
  readonly descriptions: Record<string, string> = {};

  async run(work: BenchCase, { rounds, quick, wanted }: DriveOptions): Promise<CaseResult> {
    const names = work.candidates.filter((name) => wanted.length === 0 || wanted.includes(name));
    const entries: Entry[] = [];
    for (const name of names) entries.push(await this.prepare(name, work, quick));
    for (let round = 0; round < rounds; round++) {
      for (const entry of entries) {
        if (entry.skipped !== undefined) continue;
        await this.timeOne(entry);
      }
    }
    for (const entry of entries) if (entry.skipped === undefined) await this.ask(entry, { type: "release" });
    const { name, group, amount, unit } = work;
    const reference = entries.find(({ output }) => output)?.output ?? null;
    const results = entries.map((entry): [string, CandidateResult] => [
      entry.name,
      {
        ms: entry.ms,
        error: reference && entry.output ? largestDifference(reference, entry.output) : null,
        note: entry.note,
        ...(entry.amount !== undefined && { amount: entry.amount }),
        ...(entry.skipped !== undefined && { skipped: entry.skipped }),
      },
    ]);
    return {
      name, group, amount, unit,
      date: new Date().toISOString().slice(0, 10),
      largest: reference ? largestOf(reference) : null,
      candidates: Object.fromEntries(results),
    }; // prettier-ignore
  }

  stop(): void {
    for (const process of this.processes.values()) process.stop();
  }

  /** One batch; again when other programs held it up, a few times. */
  private async timeOne(entry: Entry): Promise<void> {
    let best = { ms: NaN, share: -1 };
    for (let i = 0; i < ATTEMPTS && best.share < UNDISTURBED; i++) {
      const reply = await this.ask(entry, { type: "batch" });
      if (reply.type !== "time") {
        this.drop(entry, reply.type === "failed" ? reply.error : reply.type);
        return;
      }
      if (reply.share > best.share) best = reply;
    }
    entry.ms.push(best.ms);
  }

  /** A candidate that failed is out of this case; its process may be in any state, so the next case gets a new one. */
  private drop(entry: Entry, reason: string): void {
    entry.skipped = `failed: ${reason}`;
    entry.ms.length = 0;
    this.processes.get(entry.name)?.stop();
    this.processes.delete(entry.name);
  }

  private ask({ name }: Entry, request: Request): Promise<Reply> {
    return this.processes.get(name)!.ask(request);
  }

  private async start(entry: Entry, environment: NodeJS.ProcessEnv): Promise<void> {
    if (this.processes.has(entry.name)) return;
    this.processes.set(entry.name, new CandidateProcess(entry.name, environment));
    const reply = await this.ask(entry, { type: "describe" });
    if (reply.type === "description") this.descriptions[entry.name] = reply.text;
  }

  private async prepare(name: string, work: BenchCase, quick: boolean): Promise<Entry> {
    const entry: Entry = { name, ms: [], output: null, note: "" };
    const hidden = isNarrow(name) ? withoutAvx512() : { environment: process.env };
    if ("reason" in hidden) {
      entry.skipped = hidden.reason;
      return entry;
    }
    await this.start(entry, hidden.environment);
    const reply = await this.ask(entry, { type: "prepare", work, quick });
    if (reply.type === "prepared")
      Object.assign(entry, { output: reply.output, note: reply.note, amount: reply.amount });
    else if (reply.type === "skipped") entry.skipped = reply.reason;
    else this.drop(entry, reply.type === "failed" ? reply.error : reply.type);
    return entry;
  }
}
