/**
 * Cold start: fresh processes, each loading one library and computing its first result with the network; candidates take
 * turns. First the library is imported, then the model is read (and prepared as far as the library does it then), then run
 * for the first time, which plans and packs weights where that was not done. Files are in memory before the clock starts. fewbit's
 * is the ONNX model as a page is given it: imported, lowered to integer operators and saved. Also the bytes a page has to load.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { lower } from "../src/compile/index.ts";
import { saveGraph } from "../src/graph/file.ts";
import { importOnnx } from "../src/onnx/index.ts";
import { MODEL_FOLDER } from "./lib/candidate.ts";
import type { Precision } from "./lib/case.ts";
import { largestDifference } from "./lib/drive.ts";
import type { CandidateResult, CaseResult } from "./lib/results.ts";
import { networkImages } from "./models/inputs.ts";
import { networkModel } from "./models/networks.ts";

const FOLDER = path.resolve(MODEL_FOLDER, "cold");
const require = createRequire(import.meta.url);
export const COLD_GROUP = "cold start";

interface Start {
  /** Milliseconds of each stage. */
  readonly library: number;
  readonly model: number;
  readonly run: number;
  readonly output: readonly number[];
}

/** How a candidate starts: imports a library as `lib`, reads `model`, and computes `output` from `input`. */
interface Starter {
  readonly library: string;
  readonly model: string;
  readonly run: string;
}

const onnx = (setup: string, provider: string): Omit<Starter, "library"> => ({
  model: `${setup}
const session = await lib.InferenceSession.create(model, { executionProviders: ["${provider}"], intraOpNumThreads: 1 });`,
  run: `const x = new lib.Tensor("float32", input, shape);
const output = (await session.run({ [session.inputNames[0]]: x }))[session.outputNames[0]].data;`,
});

const starters: Readonly<Record<string, Starter>> = {
  fewbit: {
    library: "./fewbit-runtime.mjs",
    model: "const executable = new lib.Executable(lib.loadGraph(model).graph);",
    run: "const output = executable.runOne(lib.fromArray(input, shape)).data;",
  },
  "ort-web": { library: "onnxruntime-web", ...onnx("lib.env.wasm.numThreads = 1;", "wasm") },
  "ort-node": { library: "onnxruntime-node", ...onnx("", "cpu") },
};

function script({ library, model: read, run }: Starter, model: string): string {
  const shape = networkImages(1).shape;
  return `import { readFileSync } from "node:fs";
const model = readFileSync(${JSON.stringify(model)});
const bytes = readFileSync(${JSON.stringify(path.join(FOLDER, "input.bin"))});
const input = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const shape = ${JSON.stringify(shape)};
const begun = performance.now();
const lib = await import(${JSON.stringify(library)});
const loaded = performance.now();
${read}
const ready = performance.now();
${run}
const done = performance.now();
console.log(JSON.stringify({ library: loaded - begun, model: ready - loaded, run: done - ready, output: [...output] }));
process.exit(0);
`;
}

async function writeFiles(precision: Precision): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const options = { bundle: true, minify: true, format: "esm", platform: "neutral" } as const;
  await build({ ...options, entryPoints: ["src/runtime.ts"], outfile: path.join(FOLDER, "fewbit-runtime.mjs") });
  const { values } = networkImages(1);
  writeFileSync(path.join(FOLDER, "input.bin"), new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const saved = path.join(FOLDER, `${precision}.safetensors`);
  const onnxFile = path.join(FOLDER, `${precision}.onnx`);
  const onnx = networkModel(precision);
  writeFileSync(onnxFile, onnx);
  writeFileSync(saved, saveGraph(lower(importOnnx(onnx))));
  for (const [name, starter] of Object.entries(starters))
    writeFileSync(path.join(FOLDER, `${name}.${precision}.mjs`), script(starter, name === "fewbit" ? saved : onnxFile));
}

function start(name: string, precision: Precision): Start {
  const file = path.join(FOLDER, `${name}.${precision}.mjs`);
  return JSON.parse(execFileSync(process.execPath, [file], { encoding: "utf8" })) as Start;
}

const date = (): string => new Date().toISOString().slice(0, 10);

/** Loads and first results of a network, `rounds` fresh processes each. */
export async function coldStarts(precision: Precision, rounds: number): Promise<CaseResult[]> {
  await writeFiles(precision);
  const names = Object.keys(starters);
  const starts = new Map(names.map((name) => [name, [] as Start[]]));
  for (let round = 0; round < rounds; round++) for (const name of names) starts.get(name)!.push(start(name, precision));
  const reference = Float32Array.from(starts.get(names[0]!)![0]!.output);
  const candidates = (read: (start: Start) => number): Record<string, CandidateResult> =>
    Object.fromEntries(
      names.map((name) => {
        const all = starts.get(name)!;
        const error = largestDifference(reference, Float32Array.from(all[0]!.output));
        return [name, { ms: all.map(read), error, note: "" }];
      }),
    );
  const common = { group: COLD_GROUP, amount: 1, unit: "ms", date: date() } as const;
  const largest = reference.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const stages: readonly (readonly [string, (start: Start) => number])[] = [
    ["import of the library", ({ library }) => library],
    ["model read", ({ model }) => model],
    ["first run", ({ run }) => run],
    ["first result after import", ({ model, run }) => model + run],
  ];
  return stages.map(([stage, read]) => ({
    ...common,
    name: `${stage}, ${precision}`,
    largest,
    candidates: candidates(read),
  }));
}

/** Kilobytes of files after gzip. */
function kilobytes(...contents: readonly Uint8Array[]): number {
  return contents.reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0) / 1024;
}

async function bundled(contents: string): Promise<Uint8Array> {
  const stdin = { contents, resolveDir: process.cwd(), loader: "ts" } as const;
  const { outputFiles } = await build({
    stdin,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  return outputFiles[0]!.contents;
}

/** What a page loads to run a model, compressed: script and WebAssembly. */
export async function bundleBytes(): Promise<CaseResult> {
  const ort = path.dirname(require.resolve("onnxruntime-web"));
  const tfjs = path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm"));
  const entries: readonly (readonly [string, number, string])[] = [
    [
      "fewbit",
      kilobytes(await bundled('export * from "./src/runtime.ts";')),
      "engine, kernels and compiled-graph runner",
    ],
    [
      "ort-web",
      kilobytes(
        ...["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"].map((file) =>
          readFileSync(path.join(ort, file)),
        ),
      ),
      "ort.wasm.min.mjs and its wasm",
    ],
    [
      "tfjs",
      kilobytes(
        await bundled('export * from "@tensorflow/tfjs-core"; export * from "@tensorflow/tfjs-backend-wasm";'),
        readFileSync(path.join(tfjs, "tfjs-backend-wasm-simd.wasm")),
      ),
      "core, wasm backend and its SIMD wasm; no model loader",
    ],
  ];
  const candidates = Object.fromEntries(entries.map(([name, size, note]) => [name, { ms: [size], error: null, note }]));
  return { name: "bytes a page loads", group: "bytes", amount: 1, unit: "KB", date: date(), largest: null, candidates };
}
