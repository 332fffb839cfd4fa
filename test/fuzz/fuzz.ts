/**
 * Fuzzing the importer: mutated and hostile files must import or be refused with a typed error, soon and without
 * taking the machine's memory. A file is known by its number; the same number gives the same file.
 */

import { readFileSync } from "node:fs";
import path from "node:path";
import { FewbitError } from "../../src/errors.ts";
import { verify } from "../../src/graph/verify.ts";
import { importOnnx } from "../../src/onnx/index.ts";
import { mutateBytes } from "./bytes.ts";
import { hostile, hostileKinds } from "./hostile.ts";
import { mutateMessages } from "./messages.ts";
import { Choices } from "./random.ts";

const root = path.join(import.meta.dirname, "../..");

/** Real small models: ONNX's own operator cases, and a trained network now and then. */
export function seedModels(): Uint8Array[] {
  const cases = JSON.parse(readFileSync(path.join(root, "test/onnx/node-cases.json"), "utf8")) as { model: string }[];
  const models = cases.map(({ model }) => new Uint8Array(Buffer.from(model, "base64")));
  return [...models, new Uint8Array(readFileSync(path.join(root, "data/digits.onnx")))];
}

export interface FuzzFile {
  readonly kind: string;
  readonly bytes: Uint8Array;
}

/** The file of a number: half of them mutated bytes, most others mutated messages, a few made to hurt. */
export function fuzzFile(number: number, seeds: readonly Uint8Array[]): FuzzFile {
  const choices = new Choices(number);
  if (choices.once(200)) {
    const kind = choices.of(hostileKinds);
    return { kind, bytes: hostile(kind, choices) };
  }
  const seed = choices.of(seeds);
  const messages = choices.once(2) ? mutateMessages(seed, choices) : null;
  if (messages) return { kind: "messages", bytes: messages };
  return { kind: "bytes", bytes: mutateBytes(seed, choices, choices.of(seeds)) };
}

/** What importing a file came to. */
export type FuzzOutcome = "imported" | "refused";

/** @throws Error for anything that is no typed error of this library: that is a finding. */
export function importFuzzed(bytes: Uint8Array): FuzzOutcome {
  try {
    verify(importOnnx(bytes).graph);
    return "imported";
  } catch (error) {
    if (error instanceof FewbitError) return "refused";
    throw error;
  }
}
