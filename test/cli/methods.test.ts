/** `fewbit quantize`: every method and format writes the operators and integers it promises; large models stay on disk. */

import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeMessage } from "../../src/onnx/schema.ts";
import { sparseModel } from "../onnx/quantize/sparse.ts";
import { bytesText } from "../../src/cli/numbers-text.ts";
import { digits, fewbit, json, temporaryFolder } from "./support.ts";

const { at, remove } = temporaryFolder();
afterAll(remove);

const data = ["--data", digits.data, ...digits.flags];
const MEGABYTE = 2 ** 20;
/** ONNX's codes. */
const [INT8, INT4] = [3, 22];

interface Result {
  readonly files: readonly string[];
  readonly report: { readonly counts: Readonly<Record<string, number>>; readonly method: string };
  readonly check: { readonly models: readonly { readonly top1: number; readonly sqnr: number }[] } | null;
}

/** How often each operator occurs in a file, and how many values of a type it stores. */
function contents(file: string) {
  const { graph } = decodeMessage("ModelProto", readFileSync(file));
  const operators: Record<string, number> = {};
  for (const { opType } of graph!.node) operators[opType] = (operators[opType] ?? 0) + 1;
  const stored = (dataType: number): number =>
    graph!.initializer
      .filter((tensor) => tensor.dataType === dataType)
      .reduce((sum, { dims }) => sum + dims.reduce((product, size) => product * Number(size), 1), 0);
  return { operators, stored };
}

/** Accuracy and distance from the float model, as onnxruntime runs the file. */
async function onOnnxruntime(file: string): Promise<{ readonly lost: number; readonly sqnr: number }> {
  const flags = ["--skip", "1400", "--backend", "onnxruntime-node", "--json"];
  const outcome = await fewbit(["eval", file, "-r", digits.model, ...data, ...flags]);
  expect(outcome.code, outcome.stderr).toBe(0);
  const [float, quantized] = json<{ models: { top1: number; sqnr: number }[] }>(outcome).models;
  return { lost: float!.top1 - quantized!.top1, sqnr: quantized!.sqnr };
}

const floatOperators = contents(digits.model).operators;

describe.concurrent("methods", () => {
  test("dynamic: ranges are taken by operators of the file", async ({ expect }) => {
    const out = at("dynamic.onnx");
    const outcome = await fewbit(["quantize", digits.model, "-o", out, ...data, "--method", "dynamic", "--json"]);
    expect(outcome.code, outcome.stderr).toBe(0);
    const { report, check } = json<Result>(outcome);
    expect(report.method).toBe("dynamic");
    expect(check!.models[1]!.sqnr).toBeGreaterThan(25);
    const { operators, stored } = contents(out);
    expect(operators["DynamicQuantizeLinear"]).toBeGreaterThan(0);
    expect(stored(INT8)).toBeGreaterThan(0);
    const { lost, sqnr } = await onOnnxruntime(out);
    expect(lost).toBeLessThan(0.02);
    expect(sqnr).toBeGreaterThan(25);
  });

  test.each([
    [8, INT8, 30],
    [4, INT4, 8],
  ])("weight-only with %i bits: weights as integers, float operators as they were", async (bits, type, least) => {
    const out = at(`weights${bits}.onnx`);
    const flags = ["--method", "weight-only", "--weight-bits", String(bits), "--json"];
    const outcome = await fewbit(["quantize", digits.model, "-o", out, ...data, ...flags]);
    expect(outcome.code, outcome.stderr).toBe(0);
    const { report, check } = json<Result>(outcome);
    expect(report.counts[`int${bits}`]).toBe(floatOperators["Conv"]! + floatOperators["Gemm"]!);
    expect(check!.models[1]!.sqnr).toBeGreaterThan(least);
    const { operators, stored } = contents(out);
    expect(operators["Conv"]).toBe(floatOperators["Conv"]);
    expect(operators["DequantizeLinear"]).toBe(report.counts[`int${bits}`]);
    expect(stored(type)).toBeGreaterThan(20_000);
    const { lost, sqnr } = await onOnnxruntime(out);
    expect(lost).toBeLessThan(bits === 8 ? 0.005 : 0.1);
    expect(sqnr).toBeGreaterThan(least);
  });

  test("--format qoperator writes operators on integers, which onnxruntime runs", async ({ expect }) => {
    const out = at("qoperator.onnx");
    const flags = ["--format", "qoperator", "-n", "200", "--no-check", "--json"];
    const outcome = await fewbit(["quantize", digits.model, "-o", out, ...data, ...flags]);
    expect(outcome.code, outcome.stderr).toBe(0);
    const { operators } = contents(out);
    expect(operators["QLinearConv"]).toBe(floatOperators["Conv"]);
    expect([operators["Conv"], operators["Gemm"]]).toEqual([undefined, undefined]);
    const { lost, sqnr } = await onOnnxruntime(out);
    expect(lost).toBeLessThan(0.01);
    expect(sqnr).toBeGreaterThan(30);
  });
});

describe("values beside the model", () => {
  let hook: string;
  beforeAll(() => {
    hook = at("peak.mjs");
    writeFileSync(hook, 'process.on("exit", () => console.error("peak", process.resourceUsage().maxRSS * 1024));');
  });

  /** Quantizes a large model; bytes of memory the process had at most. */
  async function peak(layers: number): Promise<{ readonly result: Result; readonly bytes: number }> {
    const model = sparseModel(at(`chain${layers}.onnx`), layers, 1024);
    const flags = ["--method", "weight-only", "--weight-bits", "4", "--group-size", "32", "--external-data", "--json"];
    const args = ["quantize", model, "-o", at(`chain${layers}.int4.onnx`), ...flags];
    const outcome = await fewbit(args, { env: { NODE_OPTIONS: `--import=${hook}` } });
    expect(outcome.code, outcome.stderr).toBe(0);
    return { result: json<Result>(outcome), bytes: Number(/peak (\d+)/.exec(outcome.stderr)![1]) };
  }

  test("weight-only needs no more memory for more layers", async () => {
    // Both have more floats than wait to be collected at any time, about 100 MB; 96 layers more are 384 MB.
    const [few, many] = [await peak(32), await peak(128)];
    const [model, values] = many.result.files;
    expect([model, values]).toEqual([at("chain128.int4.onnx"), at("chain128.int4.onnx.data")]);
    expect(statSync(model!).size).toBeLessThan(MEGABYTE);
    expect(statSync(values!).size).toBeGreaterThan(64 * MEGABYTE);
    expect(many.bytes - few.bytes).toBeLessThan(96 * MEGABYTE);
  }, 60_000);

  test("are not replaced without --force, and run", async () => {
    const out = at("beside.onnx");
    writeFileSync(`${out}.data`, "mine");
    const args = ["quantize", digits.model, "-o", out, ...data, "--method", "weight-only", "--external-data"];
    const refused = await fewbit(args);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/beside\.onnx\.data.*exists already/)]);
    expect([existsSync(out), readFileSync(`${out}.data`, "utf8")]).toEqual([false, "mine"]);
    const { code, stdout } = await fewbit([...args, "--force"]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/with its values in .*beside\.onnx\.2\.data/)]);
    expect(existsSync(`${out}.data`)).toBe(false);
    const size = bytesText(statSync(out).size + statSync(`${out}.2.data`).size);
    const evaluated = await fewbit(["eval", out, ...data]);
    expect(evaluated.stdout).toContain(`beside.onnx  ${size}`);
    expect((await onOnnxruntime(out)).sqnr).toBeGreaterThan(30);
  });
});
