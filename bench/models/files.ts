/**
 * The model files of the cases: written once by the parent, read by every candidate.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { MODEL_FOLDER } from "../lib/candidate.ts";
import type { BenchCase, Work } from "../lib/case.ts";
import { convModel, convSignature, gemmModel, gemmSignature } from "./onnx.ts";
import type { IntegerForm, Signature } from "./onnx.ts";
import { networkModel } from "./networks.ts";

/** Forms a case's model exists in; null when it is not one model that runs forward. */
export function modelForms({ work, precision }: BenchCase): readonly ("f32" | IntegerForm)[] | null {
  if (work.kind === "network") return [precision === "f32" ? "f32" : "qdq"];
  if (work.kind === "conv") return precision === "f32" ? ["f32"] : ["qdq", "qoperator"];
  if (work.kind === "gemm") return precision === "f32" ? ["f32"] : ["qdq", "qoperator", "qdq-gemm"];
  return null;
}

/** Shapes of a single-operator model. */
export function signatureOf(work: Work): Signature {
  if (work.kind === "gemm") return gemmSignature(work.rows, work.depth, work.columns);
  if (work.kind === "conv") return convSignature(work.sizes);
  throw new Error(`a case of kind ${work.kind} is not one operator`);
}

function fileOf({ name, work }: BenchCase, form: string): string {
  const stem = work.kind === "network" ? "network" : name.replace(/[^\w]+/g, "-");
  return path.join(MODEL_FOLDER, `${stem}.${form}.onnx`);
}

function modelBytes({ work }: BenchCase, form: "f32" | IntegerForm): Uint8Array {
  if (work.kind === "gemm") return gemmModel(work.rows, work.depth, work.columns, form);
  if (work.kind === "conv") return convModel(work.sizes, form);
  return networkModel(form === "f32" ? "f32" : "int8");
}

/** Writes the files of a case, unless this process has written them for an earlier one: `written` keeps track. */
export function writeModels(work: BenchCase, written: Set<string>): void {
  mkdirSync(MODEL_FOLDER, { recursive: true });
  // The float network is also run beside the integer one.
  const forms = new Set([...(modelForms(work) ?? []), ...(work.work.kind === "network" ? (["f32"] as const) : [])]);
  for (const form of forms) {
    const file = fileOf(work, form);
    if (!written.has(file)) writeFileSync(file, modelBytes(work, form));
    written.add(file);
  }
}

export function readModel(work: BenchCase, form: string): Uint8Array {
  return readFileSync(fileOf(work, form));
}
