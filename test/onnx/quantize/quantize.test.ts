/** quantizeOnnx: what becomes integers, what the file computes in onnxruntime and here, and how calibration goes on. */

import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { compile } from "../../../src/compile/index.ts";
import { OnnxError, QuantError } from "../../../src/errors.ts";
import { importOnnx } from "../../../src/onnx/index.ts";
import { decodeMessage } from "../../../src/onnx/schema.ts";
import {
  decodeCalibration,
  encodeCalibration,
  planQuantization,
  quantizeOnnx,
} from "../../../src/onnx/quantize/index.ts";
import type {
  CalibrationState,
  ObserverKind,
  QuantizeOptions,
  QuantizeResult,
  TargetName,
} from "../../../src/onnx/quantize/index.ts";
import { zeros } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { images, residualFile } from "./net.ts";

/** Least signal to noise of 8-bit results of this net, with any way to find ranges. */
const LEAST_DB = 20;

const file = residualFile();
const batches = Array.from({ length: 6 }, (_, i) => images(10 + i, 4));
const x = images(99, 16);

async function inOnnxruntime(bytes: Uint8Array, input: Tensor): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const name = session.inputNames[0]!;
  const results = await session.run({ [name]: new OrtTensor("float32", input.data as Float32Array, input.shape) });
  return results[session.outputNames[0]!]!.data as Float32Array;
}

function decibel(wanted: ArrayLike<number>, given: ArrayLike<number>): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    signal += wanted[i]! ** 2;
    noise += (wanted[i]! - given[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

const float = compile(importOnnx(file)).runOne(x).data as Float32Array;
const quantize = (options: QuantizeOptions = {}): Promise<QuantizeResult> => quantizeOnnx(file, batches, options);
const ours = (result: QuantizeResult): Tensor => compile(result.graph, { fallback: "reference" }).runOne(x);

describe("the default", () => {
  test("makes every operator of a ResNet integers, with a reason each, and keeps names and metadata", async () => {
    const result = await quantize();
    expect(result.report.operators.map(({ operator, precision }) => `${operator} ${precision}`)).toMatchInlineSnapshot(`
      [
        "Conv int8",
        "Relu int8",
        "MaxPool int8",
        "Conv int8",
        "Add int8",
        "Relu int8",
        "Slice int8",
        "Slice int8",
        "Pad int8",
        "Conv int8",
        "Add int8",
        "Relu int8",
        "GlobalAveragePool int8",
        "Reshape int8",
        "Gemm int8",
      ]
    `);
    expect(result.report).toMatchObject({
      method: "static",
      target: "wasm",
      samples: 24,
      batches: 6,
      runner: "fewbit",
    });
    expect(result.report.bytes.after).toBeLessThan(result.report.bytes.before);
    const back = importOnnx(result.bytes());
    expect(back.preserved["onnx"]).toMatchObject({ outputs: ["scores"], metadata: { author: "a test" } });
    expect(compile(back).runOne(x).data).toEqual(ours(result).data);
  });

  test("runs no float arithmetic but the head's in the engine", async () => {
    const steps = compile((await quantize()).graph).explain([x]).steps;
    expect(steps.filter(({ precision }) => precision === "float" || precision === "reference")).toEqual([]);
  });

  test("the dry run says the same without data", async () => {
    expect(planQuantization(file).operators).toEqual((await quantize()).report.operators);
  });
});

const targets: readonly TargetName[] = [
  "wasm", "onnxruntime-cpu", "onnxruntime-avx2", "onnxruntime-web", "qnnpack", "tensorrt",
]; // prettier-ignore

describe("targets", () => {
  test.each(targets)("%s: close to float, and the same numbers in onnxruntime", async (target) => {
    const result = await quantize({ target });
    const here = ours(result).data as Float32Array;
    expect(decibel(float, here)).toBeGreaterThan(LEAST_DB);
    const there = await inOnnxruntime(result.bytes(), x);
    if (target === "tensorrt") expect(decibel(there, here)).toBeGreaterThan(2 * LEAST_DB);
    else expect(there).toEqual(here);
  });
});

const observers: readonly ObserverKind[] = ["minMax", "movingAverage", "histogramL2", "percentile", "entropy", "mse"];

test.each(observers)("ranges by %s", async (observer) => {
  expect(decibel(float, ours(await quantize({ observer })).data)).toBeGreaterThan(LEAST_DB);
});

describe("calibration", () => {
  test("goes on from a checkpoint to the same bits", async () => {
    const whole = await quantize();
    let saved: Uint8Array | null = null;
    const stopped = quantize({
      checkpointEvery: 2,
      onCheckpoint: (state) => {
        saved = encodeCalibration(state);
        throw new Error("killed");
      },
    });
    await expect(stopped).rejects.toThrow("killed");
    const resume = decodeCalibration(saved!);
    expect(resume.batches).toBe(2);
    const later = await quantize({ resume });
    expect(later.bytes()).toEqual(whole.bytes());
    const asked: number[] = [];
    const skipping = await quantizeOnnx(file, (skip) => (asked.push(skip), batches.slice(skip)), { resume });
    expect(skipping.bytes()).toEqual(whole.bytes());
    expect(asked).toContain(2);
  });

  test("refuses the state of another calibration", async () => {
    const { calibration } = await quantize();
    const resume = calibration as CalibrationState;
    await expect(quantize({ resume, observer: "minMax" })).rejects.toThrow(/belongs to another model/);
    expect(() => decodeCalibration(encodeCalibration(resume).slice(0, 40))).toThrow();
  });

  test("can be stopped, and tells how far it is", async () => {
    const control = new AbortController();
    const seen: string[] = [];
    const run = quantize({
      signal: control.signal,
      onProgress: ({ phase, samples }) => {
        seen.push(`${phase} ${samples}`);
        if (samples === 8) control.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    expect(seen).toEqual(["importing 0", "preparing 0", "calibrating 4", "calibrating 8"]);
  });

  test("another runner sees the intermediate values, one batch at a time", async () => {
    let most = 0;
    const runner = {
      name: "interpreter",
      start: (job: Parameters<NonNullable<QuantizeOptions["runner"]>["start"]>[0]) => {
        const { model, taps } = job.tapped();
        const executable = compile(model);
        return {
          run: (inputs: readonly Tensor[]) => {
            const values = executable.run(...inputs) as Tensor[];
            most = Math.max(most, values.length);
            values.forEach((value, i) => taps[i]!.observe(value));
          },
          dispose: () => executable.dispose(),
        };
      },
    };
    const result = await quantize({ runner });
    expect(most).toBeGreaterThan(5);
    expect(result.report.runner).toBe("interpreter");
    expect(result.bytes()).toEqual((await quantize()).bytes());
  });

  const bad: readonly (readonly [string, unknown, RegExp])[] = [
    ["no data", [], /there is no calibration data/],
    ["a wrong shape", [zeros([2, 3, 8, 8])], /another shape.*batch = 0.*shape = \[2, 3, 8, 8\]/],
    ["a wrong dtype", [zeros([2, 3, 16, 16], { dtype: "uint8" })], /another dtype/],
    ["a name the model has not", [{ pixels: x }], /missing = \[.*\], unknown = \[pixels\]/],
    ["NaN", [x, withNan()], /finite.*batch = 1.*sample = 5/],
  ];
  test.each(bad)("%s is refused in one sentence", async (_, data, message) => {
    const run = quantizeOnnx(file, data as Tensor[]);
    await expect(run).rejects.toThrow(QuantError);
    await expect(quantizeOnnx(file, data as Tensor[])).rejects.toThrow(message);
  });
});

function withNan(): Tensor {
  const tensor = images(1, 8);
  tensor.data[5 * 768 + 3] = NaN;
  return tensor;
}

describe("settings", () => {
  test("leave out by type, name, glob and pattern; a name that is nowhere is refused", () => {
    const precisions = (options: QuantizeOptions): Record<string, number> => ({
      ...planQuantization(file, options).counts,
    });
    const all = precisions({}).int8!;
    expect(precisions({ exclude: ["Gemm"] }).int8).toBeLessThan(all);
    expect(precisions({ exclude: [/^left/] }).int8).toBeLessThan(all);
    const only = planQuantization(file, { include: ["Gemm"] }).operators.filter(
      ({ precision }) => precision === "int8",
    );
    expect(only.map(({ operator }) => operator)).toEqual(["Gemm"]);
    expect(() => planQuantization(file, { exclude: ["Gem"] })).toThrow(/Did you mean Gemm/);
    expect(() => planQuantization(file, { exclude: ["*"] })).toThrow(/nothing in the model can be quantized/);
  });

  const wrong: readonly (readonly [string, QuantizeOptions])[] = [
    ["target", { target: "gpu" as TargetName }],
    ["observer", { observer: "best" as ObserverKind }],
    ["bits", { activations: { bits: 7 as 8 } }],
    ["groups", { weights: { groupSize: 32 } }],
    ["asymmetric channels in onnxruntime", { target: "onnxruntime-cpu", weights: { symmetric: false } }],
  ];
  test.each(wrong)("refuse a wrong %s", (_, options) => {
    expect(() => planQuantization(file, options)).toThrow(OnnxError);
  });

  test("16-bit activations and 4-bit weights", async () => {
    const wide = await quantize({ activations: { bits: 16 } });
    const narrow = await quantize({ weights: { bits: 4 } });
    const usual = await quantize();
    expect(decibel(float, ours(wide).data)).toBeGreaterThan(decibel(float, ours(usual).data));
    expect(narrow.report.bytes.after).toBeLessThan(usual.report.bytes.after);
    expect(importOnnx(narrow.bytes()).preserved["onnx"]).toMatchObject({ opset: 21 });
    for (const result of [wide, narrow])
      expect(decibel(await inOnnxruntime(result.bytes(), x), ours(result).data)).toBeGreaterThan(2 * LEAST_DB);
  });

  test("a quantized model is not quantized again", async () => {
    const { graph } = await quantize();
    expect(() => planQuantization(graph)).toThrow(/quantized already/);
  });
});

describe("operators on integers", () => {
  const kinds = (bytes: Uint8Array): string[] =>
    decodeMessage("ModelProto", bytes).graph!.node.map(({ opType }) => opType);

  test("give what pairs of quantize and dequantize give, here and in onnxruntime", async () => {
    const pairs = await quantize({ target: "onnxruntime-cpu" });
    const result = await quantize({ target: "onnxruntime-cpu", format: "qoperator" });
    expect(kinds(result.bytes())).toMatchInlineSnapshot(`
      [
        "QuantizeLinear",
        "QLinearConv",
        "MaxPool",
        "QLinearConv",
        "QLinearAdd",
        "Slice",
        "Slice",
        "Pad",
        "QLinearConv",
        "QLinearAdd",
        "QLinearGlobalAveragePool",
        "Reshape",
        "QGemm",
      ]
    `);
    expect(await inOnnxruntime(result.bytes(), x)).toEqual(ours(pairs).data);
    expect(compile(importOnnx(result.bytes()), { fallback: "reference" }).runOne(x).data).toEqual(ours(pairs).data);
  });
});
