/**
 * What a candidate is: something that can do the work of a case. Each lives in a process of its own
 * (bench/candidate-process.ts), which the parent asks for one batch at a time.
 */

import type { BenchCase } from "./case.ts";
import type { Call } from "./timing.ts";

/** A case made ready: everything but the call itself is behind it. */
export interface Prepared {
  readonly call: Call;
  /** The result of a call, for comparing candidates; null when there is nothing to compare. */
  output(): Float32Array | null | Promise<Float32Array | null>;
  dispose(): void | Promise<void>;
  /** What was chosen, such as the faster of two forms of a model. */
  readonly note?: string;
  /** Operations of a call, for what does another amount of work than the case says. */
  readonly amount?: number;
}

/** Why a candidate does not take part in a case. */
export interface Skipped {
  readonly skipped: string;
}

export interface Candidate {
  prepare(work: BenchCase): Promise<Prepared | Skipped>;
  /** What is running: versions, builds, settings. */
  describe(): string | Promise<string>;
}

/** Folder for the models all candidates read. */
export const MODEL_FOLDER = "output/bench";

export type Request =
  | { readonly type: "describe" }
  | { readonly type: "prepare"; readonly work: BenchCase; readonly quick: boolean }
  | { readonly type: "batch" }
  | { readonly type: "release" };

export type Reply =
  | { readonly type: "description"; readonly text: string }
  | { readonly type: "skipped"; readonly reason: string }
  | { readonly type: "prepared"; readonly output: Float32Array | null; readonly note: string; readonly amount?: number }
  /** Of one call; and the share of the time in which the process had a processor, 1 when it was never held up. */
  | { readonly type: "time"; readonly ms: number; readonly share: number }
  | { readonly type: "released" }
  | { readonly type: "failed"; readonly error: string };
