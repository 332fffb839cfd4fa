/** Models with values beside them: quantized a tensor at a time, within a bound of memory; written whole or not at all. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { afterAll, describe, expect, test } from "vitest";
import { compile } from "../../../src/compile/index.ts";
import { DataError } from "../../../src/errors.ts";
import { importOnnx, writeOnnx } from "../../../src/onnx/index.ts";
import type { ByteSource } from "../../../src/onnx/index.ts";
import { quantizeOnnx, quantizeOnnxFile } from "../../../src/onnx/quantize/index.ts";
import { images, residualFile, residualNet } from "./net.ts";
import { sparseModel } from "./sparse.ts";

const folder = mkdtempSync(path.join(tmpdir(), "fewbit-onnx-"));
const at = (name: string): string => path.join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program with this library in a process of its own. */
function runSource(source: string) {
  const args = ["--conditions=fewbit-source", "--input-type=module", "-e", source];
  return spawnSync(process.execPath, args, { cwd: path.join(import.meta.dirname, "../../.."), encoding: "utf8" });
}

/** A program that makes the weights of a file integers, in a file beside the result. */
const weightOnly = (model: string, out: string): string => `
  const { quantizeOnnxFile } = await import("fewbit/onnx/quantize");
  await quantizeOnnxFile(${JSON.stringify(model)}, ${JSON.stringify(out)}, null,
    { method: "weightOnly", weights: { bits: 4, groupSize: 32 }, largestInside: 1024 });`;

/** Largest memory in bytes that this takes. */
function peakOf(model: string, out: string): number {
  const { stdout } = runSource(`
    await import("fewbit/onnx/quantize");
    const before = process.memoryUsage().rss;
    ${weightOnly(model, out)}
    console.log(process.resourceUsage().maxRSS * 1024 - before);`);
  return Number(stdout);
}

const MEGABYTE = 2 ** 20;

describe("values beside the model", () => {
  test("are written and read back, by onnxruntime too", async () => {
    const net = residualNet();
    writeOnnx(net, at("float.onnx"), { largestInside: 0 });
    expect(statSync(at("float.onnx.data")).size).toBeGreaterThan(5000);
    const x = images(3, 2);
    const wanted = compile(net).runOne(x).data;
    expect(compile(importOnnx(at("float.onnx"))).runOne(x).data).toEqual(wanted);
    const report = await quantizeOnnxFile(at("float.onnx"), at("int8.onnx"), [images(4, 8)], { largestInside: 0 });
    expect(report.counts.int8).toBeGreaterThan(8);
    const session = await InferenceSession.create(at("int8.onnx"), { intraOpNumThreads: 1 });
    const name = session.inputNames[0]!;
    const results = await session.run({ [name]: new OrtTensor("float32", x.data as Float32Array, x.shape) });
    const inside = await quantizeOnnx(at("float.onnx"), [images(4, 8)]);
    expect(results[session.outputNames[0]!]!.data).toEqual(compile(inside.graph).runOne(x).data);
  });

  test("are counted in the size of the model", async () => {
    writeOnnx(residualNet(), at("sized.onnx"), { largestInside: 0 });
    const files = ["sized.onnx", "sized.onnx.data"].map((name) => statSync(at(name)).size);
    const { report } = await quantizeOnnx(at("sized.onnx"), null, { method: "weightOnly" });
    expect(report.bytes.before).toBe(files[0]! + files[1]!);
  });

  test("of a model that is replaced stay with it when writing is killed between the files", () => {
    const net = residualNet();
    const [from, to] = [at("before.onnx"), at("again.onnx")];
    const ours = (): string[] => readdirSync(folder).filter((name) => name.startsWith("again"));
    writeOnnx(net, from);
    writeOnnx(net, to, { largestInside: 0 });
    expect(ours()).toEqual(["again.onnx", "again.onnx.data"]);
    const before = readFileSync(to);
    const killed = runSource(`
      const fs = process.getBuiltinModule("node:fs");
      const { renameSync } = fs;
      fs.renameSync = (a, b) => { renameSync(a, b); process.kill(process.pid, "SIGKILL"); };
      ${weightOnly(from, to)}`);
    expect(killed.signal).toBe("SIGKILL");
    expect(ours()).toEqual(["again.onnx", "again.onnx.2.data", "again.onnx.data"]);
    expect(readFileSync(to)).toEqual(before);
    const x = images(3, 2);
    expect(compile(importOnnx(to)).runOne(x).data).toEqual(compile(net).runOne(x).data);
    expect(runSource(weightOnly(from, to)).status).toBe(0);
    expect(ours()).toEqual(["again.onnx", "again.onnx.3.data"]);
    expect(compile(importOnnx(to)).runOne(x).data).not.toEqual(compile(net).runOne(x).data);
  });

  test("are read once for weight-only quantization, a tensor after the other", async () => {
    sparseModel(at("outside.onnx"), 3, 64);
    const values = readFileSync(at("outside.onnx.data"));
    const read: string[] = [];
    const externalData = (): ByteSource => ({
      size: values.length,
      read(offset, length) {
        read.push(`${offset} ${length}`);
        return values.slice(offset, offset + length);
      },
    });
    for (const groupSize of [null, 4]) {
      const options = { method: "weightOnly", weights: { groupSize }, import: { externalData } } as const;
      const { bytes } = await quantizeOnnx(readFileSync(at("outside.onnx")), null, options);
      bytes();
      expect([read.length, new Set(read).size]).toEqual([3, 3]);
      read.length = 0;
    }
  });

  test("need no more memory for more layers", () => {
    const few = peakOf(sparseModel(at("few.onnx"), 4, 1024), at("few-q.onnx"));
    const many = peakOf(sparseModel(at("many.onnx"), 64, 1024), at("many-q.onnx"));
    expect(statSync(at("many.onnx.data")).size).toBe(256 * MEGABYTE);
    expect(statSync(at("many-q.onnx.data")).size).toBeGreaterThan(32 * MEGABYTE);
    expect(many - few).toBeLessThan(96 * MEGABYTE);
  });

  test("that cannot be written leave nothing behind", async () => {
    const { write } = await quantizeOnnx(residualFile(), null, { method: "weightOnly" });
    const before = readdirSync(folder);
    await expect(write(at("nowhere/model.onnx"))).rejects.toThrow(DataError);
    await expect(write(folder)).rejects.toThrow(/it is a folder.*Nothing was left behind/);
    expect(readdirSync(folder)).toEqual(before);
    expect(existsSync(at("nowhere"))).toBe(false);
    await write(at("whole.onnx"));
    expect(importOnnx(readFileSync(at("whole.onnx"))).graph.inputs).toHaveLength(1);
  });
});
