/**
 * Checks exported files with ONNX's own checker: writes one of each kind, then runs tools/check_exports.py on them.
 *
 *   PYTHON=venv/bin/python npm run check:onnx        (needs pip install onnx)
 *
 * Kinds: every operator case of test/onnx that exports, and the digits' network in each way quantizeOnnx writes.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { readSafetensors } from "fewbit/data";
import { OnnxError } from "../src/errors.ts";
import { exportOnnx, importOnnx, writeOnnx } from "fewbit/onnx";
import { quantizeOnnx } from "fewbit/onnx/quantize";
import type { QuantizeOptions } from "fewbit/onnx/quantize";
import { div, reshape, slice, sub } from "../src/ops/index.ts";
import { cast } from "../src/ops/unary.ts";

const root = path.join(import.meta.dirname, "..");
const folder = path.join(root, "output/check-exports");
const at = (...parts: string[]): string => path.join(folder, ...parts);

/** Ways of quantizing the digits' network, by the name of the file. */
const ways: Readonly<Record<string, QuantizeOptions>> = {
  "qdq-int8": {},
  "qdq-int8-per-tensor": { weights: { perChannel: false }, crossLayerEqualization: true },
  "qdq-int16": { activations: { bits: 16 } },
  "qdq-signed-symmetric": { activations: { signed: true, symmetric: true } },
  "qdq-onnxruntime": { target: "onnxruntime-cpu" },
  "qdq-opset-23": { opset: 23 },
  "qoperator-int8": { format: "qoperator" },
  "dynamic-int8": { method: "dynamic" },
  "weights-int8": { method: "weightOnly" },
  "weights-int4": { method: "weightOnly", weights: { bits: 4 } },
  "weights-int4-groups": { method: "weightOnly", weights: { bits: 4, groupSize: 16 } },
  "weights-int4-asymmetric": { method: "weightOnly", weights: { bits: 4, groupSize: 16, symmetric: false } },
};

function writeCases(): { readonly written: number; readonly refused: number } {
  mkdirSync(at("cases"), { recursive: true });
  const cases = JSON.parse(readFileSync(path.join(root, "test/onnx/node-cases.json"), "utf8")) as {
    readonly name: string;
    readonly model: string;
  }[];
  let refused = 0;
  for (const { name, model } of cases) {
    try {
      writeFileSync(at("cases", `${name}.onnx`), exportOnnx(importOnnx(Buffer.from(model, "base64"))));
    } catch (error) {
      if (!(error instanceof OnnxError)) throw error;
      refused++;
    }
  }
  return { written: cases.length - refused, refused };
}

async function writeDigits(): Promise<void> {
  const file = path.join(root, "data/digits.onnx");
  const pixels = readSafetensors(readFileSync(path.join(root, "data/digits.safetensors"))).tensors.get("images")!;
  const images = slice(pixels, 0, 0, 128);
  const data = [sub(div(reshape(cast(images, "float32"), [128, 1, 8, 8]), 8), 1)];
  const float = importOnnx(file);
  writeFileSync(at("float.onnx"), exportOnnx(float));
  writeOnnx(float, at("float-values-beside.onnx"), { largestInside: 0 });
  for (const [name, options] of Object.entries(ways)) {
    const needsData = (options.method ?? "static") === "static";
    const result = await quantizeOnnx(file, needsData ? data : null, options);
    await result.write(at(`${name}.onnx`));
  }
}

rmSync(folder, { recursive: true, force: true });
const { written, refused } = writeCases();
console.log(`operator cases: ${written} exported, ${refused} refused with a sentence`);
await writeDigits();
const python = process.env["PYTHON"] ?? "python3";
const { status, error } = spawnSync(python, [path.join(root, "tools/check_exports.py"), folder], { stdio: "inherit" });
if (error) console.error(`${python}: ${error.message}. Name another: PYTHON=...`);
process.exitCode = status ?? 1;
