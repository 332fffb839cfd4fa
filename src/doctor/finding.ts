/** What doctor finds, as data; and what rules get to look at. */

import type { Node } from "../graph/graph.ts";
import type { AnyModule } from "../nn/module.ts";
import type { QConfig } from "../quantization/qconfig.ts";
import type { DryRun, Flow } from "./analysis/dry.ts";
import type { Replay } from "./analysis/replay.ts";
import type { Trace } from "./analysis/trace.ts";

export interface Finding {
  /** Which mistake, `missing-quant-stub`; see rules/. */
  readonly code: string;
  /** Path of the module at fault; "" is the root. */
  readonly path: string;
  /**
   * The user's file and line, `model.ts:14`: of the forward, or, when no line of it is at fault, where the module (or
   * the model) is made. Empty only when the stack names no file.
   */
  readonly location: string;
  readonly cause: string;
  /** What to write instead. */
  readonly fix: string;
}

/** Processors whose products of 8-bit integers differ: avx2 sums pairs in 16 bits, which can saturate. */
export type Target = "vnni" | "avx2" | "wasm";

/** What one examination knows about a model. */
export interface Patient {
  readonly model: AnyModule;
  readonly flow: Flow;
  readonly target: Target;
  readonly qconfigDictKeys: readonly string[];
  /** The line that called doctor: at fault for what it was given. */
  readonly calledAt: string;
  /** The qconfig that reaches each module, by path; null: switched off; undefined: none. */
  readonly qconfigs: ReadonlyMap<string, QConfig | null | undefined>;
  readonly units: readonly (readonly [path: string, unit: AnyModule])[];
  readonly dry: DryRun;
  /** Null when the forward could not be captured. */
  readonly run: {
    readonly trace: Trace;
    readonly replay: Replay;
    readonly calls: ReadonlyMap<string, readonly Node[]>;
  } | null;
}

export type Rule = (patient: Patient) => readonly Finding[];

/** `Conv2d "layer1.conv"`: how sentences name a module. */
export function nameOf(path: string, module: AnyModule): string {
  return `${module.constructor.name} "${path === "" ? "(root)" : path}"`;
}

/** Where the forward calls a module first; "" when it does not. */
export function firstCall(patient: Patient, path: string): string {
  const calls = patient.run?.calls;
  const node = calls?.get(path)?.[0] ?? calls?.get(`${path}.activationPostProcess`)?.[0];
  return node?.source.location ?? "";
}
