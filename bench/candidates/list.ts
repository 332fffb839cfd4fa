/** Every candidate by name; each module is loaded in its own process only. */

import type { Candidate } from "../lib/candidate.ts";
import type { FewbitOptions } from "./fewbit.ts";

type Load = () => Promise<Candidate>;

/** Ends the name of a candidate that runs with AVX-512 and AMX hidden from it. */
const NARROW = "-avx2";

export const isNarrow = (name: string): boolean => name.endsWith(NARROW);

const fewbit =
  (options: FewbitOptions): Load =>
  async () =>
    (await import("./fewbit.ts")).fewbit(options);

const onnxruntime =
  (kind: "web" | "node", threads: number, isPlain = false): Load =>
  async () =>
    (await import("./onnxruntime.ts")).onnxruntime(kind, threads, isPlain);

export const candidates: ReadonlyMap<string, Load> = new Map<string, Load>([
  ["fewbit", fewbit({})],
  ["fewbit-simd", fewbit({ build: "simd" })],
  ["fewbit-2t", fewbit({ threads: 2 })],
  ["fewbit-eager", fewbit({ isEager: true })],
  ["fewbit-plain", fewbit({ isPlain: true })],
  ["ort-web", onnxruntime("web", 1)],
  ["ort-web-2t", onnxruntime("web", 2)],
  ["ort-node", onnxruntime("node", 1)],
  ["ort-node-f32", onnxruntime("node", 1, true)],
  [`ort-node${NARROW}`, onnxruntime("node", 1)],
  [`ort-node-f32${NARROW}`, onnxruntime("node", 1, true)],
  ["peak-int8", async () => (await import("./peak.ts")).peak("int8 dot product")],
  ["peak-f32", async () => (await import("./peak.ts")).peak("f32 multiply-add")],
  ["tfjs", async () => (await import("./tfjs.ts")).tfjs()],
]);

/** What the names stand for, for tables and docs. */
export const candidateTitles: Readonly<Record<string, string>> = {
  fewbit: "fewbit, relaxed SIMD build, one thread",
  "fewbit-simd": "fewbit, plain SIMD build, one thread",
  "fewbit-2t": "fewbit, relaxed SIMD build, two threads",
  "fewbit-eager": "fewbit, operators one by one instead of a compiled step",
  "fewbit-plain": "fewbit doing the same in plain floats: without observers, without fake quantization",
  "ort-web": "onnxruntime-web, wasm, SIMD, one thread",
  "ort-web-2t": "onnxruntime-web, wasm, SIMD, two threads",
  "ort-node": "onnxruntime-node, native code, one thread (orientation)",
  "ort-node-f32": "onnxruntime-node running the float network where the others run the integer one",
  [`ort-node${NARROW}`]:
    "onnxruntime-node with AVX-512 and AMX hidden from it, as on the processor the bars were set on",
  [`ort-node-f32${NARROW}`]: "the same, running the float network where the others run the integer one",
  "peak-int8": "yardstick: the int8 dot product with operands in registers",
  "peak-f32": "yardstick: the f32 multiply-add with operands in registers",
  tfjs: "TensorFlow.js, wasm backend, SIMD, one thread",
};
