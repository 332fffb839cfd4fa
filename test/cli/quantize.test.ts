/** `fewbit quantize`, `compare` and what happens when things go wrong on the way. */

import { existsSync, readFileSync, readdirSync, writeFileSync, mkdirSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors, writeNpy } from "../../src/data/index.ts";
import { fromArray } from "../../src/tensor/create.ts";
import { digits, fewbit, json, temporaryFolder } from "./support.ts";

const { at, remove } = temporaryFolder();
afterAll(remove);

const data = ["--data", digits.data, ...digits.flags];
/** What the digits network loses at most, in dB of its logits. */
const MIN_SQNR = 35;

interface Result {
  readonly report: {
    readonly counts: Readonly<Record<string, number>>;
    readonly samples: number;
    readonly runner: string | null;
  };
  readonly check: { readonly models: readonly { readonly top1: number; readonly sqnr: number }[] } | null;
}

/** What a folder holds that commands left behind. */
const leftOvers = (): string[] => readdirSync(at()).filter((name) => name.includes(".part"));

describe.concurrent("quantize", () => {
  test("writes a smaller model that is as right, and says so in a table", async ({ expect }) => {
    const out = at("digits.int8.onnx");
    const { code, stdout } = await fewbit(["quantize", digits.model, "-o", out, ...data, "-n", "500"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/operators: 17 int8 \(static, calibrated on 500 samples/);
    expect(stdout).toMatch(/float +115 kB/);
    expect(readFileSync(out).length).toBeLessThan(0.4 * readFileSync(digits.model).length);
    const [own, native] = await Promise.all(
      ["fewbit", "onnxruntime-node"].map((backend) =>
        fewbit(["eval", out, "-r", digits.model, ...data, "--skip", "1000", "--backend", backend, "--json"]),
      ),
    );
    for (const outcome of [own!, native!]) {
      const [float, int8] = json<{ models: { top1: number; sqnr: number }[] }>(outcome).models;
      expect(Math.abs(float!.top1 - int8!.top1)).toBeLessThan(0.01);
      expect(int8!.sqnr).toBeGreaterThan(MIN_SQNR);
    }
  });

  test.each([
    ["min-max", []],
    ["percentile", ["--percentile", "0.9999"]],
    ["histogram-l2", ["--target", "onnxruntime-cpu"]],
    ["entropy", ["--format", "qoperator"]],
    ["moving-average", ["--per-tensor", "--activation-bits", "16", "--no-bias-correction"]],
  ])("the observer %s, with %j", async (observer, flags) => {
    const out = at(`${observer}.onnx`);
    const args = [
      "quantize",
      digits.model,
      "-o",
      out,
      ...data,
      "-n",
      "200",
      "--observer",
      observer,
      ...flags,
      "--json",
    ];
    const outcome = await fewbit(args);
    expect(outcome.code, outcome.stderr).toBe(0);
    const { check } = json<Result>(outcome);
    expect(check!.models[1]!.sqnr).toBeGreaterThan(observer === "entropy" ? 15 : 25);
  });

  test("calibrates on onnxruntime to nearly the same ranges", async ({ expect }) => {
    const out = at("native.onnx");
    const args = ["quantize", digits.model, "-o", out, ...data, "-n", "200", "--backend", "onnxruntime-node", "--json"];
    const { report, check } = json<Result>(await fewbit(args));
    expect(report.runner).toBe("onnxruntime-node");
    expect(check!.models[1]!.sqnr).toBeGreaterThan(MIN_SQNR);
  });

  test("a dry run tells of every operator and reads no data", async ({ expect }) => {
    const args = ["quantize", digits.model, "--dry-run", "--data", at("nowhere"), "--exclude", "Gemm,down.*"];
    const { code, stdout } = await fewbit(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/classifier +Gemm +float/);
    expect(stdout).toMatch(/down\.0 +Conv +float/);
    expect(stdout).toMatch(/stem\.0 +Conv +int8 +uint8 +int8 per channel/);
  });

  test("images of a folder calibrate as well", async ({ expect }) => {
    const sharp = (await import("sharp")).default;
    const { tensors } = readSafetensors(readFileSync(digits.data));
    const [images, labels] = [tensors.get("images")!, tensors.get("labels")!];
    for (let i = 0; i < 40; i++) {
      mkdirSync(at("pictures", String(labels.data[i])), { recursive: true });
      const pixels = Uint8Array.from(images.data.subarray(i * 64, (i + 1) * 64), (v) => v * 15);
      await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } }).png().toFile(at("pictures", String(labels.data[i]), `${i}.png`)); // prettier-ignore
    }
    const flags = ["--data", at("pictures"), "--range", "-1,0.875", "--kernel", "nearest"];
    const { check } = json<Result>(
      await fewbit(["quantize", digits.model, "-o", at("pictures.onnx"), ...flags, "--json"]),
    );
    expect(check!.models[0]!.top1).toBeGreaterThan(0.9);
    expect(check!.models[1]!.top1).toBe(check!.models[0]!.top1);
  });

  test("compare ranks operators, in JSON too", async ({ expect }) => {
    const out = at("compared.onnx");
    await fewbit(["quantize", digits.model, "-o", out, ...data, "-n", "100", "--no-check"]);
    const outcome = await fewbit(["compare", digits.model, out, ...data, "-n", "20", "--json"]);
    const { layers, ranking } = json<{ layers: { name: string; sqnr: number }[]; ranking: string[] }>(outcome);
    expect(layers.length).toBe(17);
    expect(new Set(ranking).size).toBe(17);
    for (const { sqnr } of layers) expect(sqnr).toBeGreaterThan(25);
    const both = await fewbit(["compare", digits.model, out, "--with", out, ...data, "-n", "20"]);
    expect(both.stdout).toMatch(/SQNR dB .*compared\.onnx/);
  });
});

describe("a calibration that was killed", () => {
  let program: string;
  beforeAll(() => {
    program = at("slow.mjs");
    writeFileSync(
      program,
      `import { readFileSync } from "node:fs";
      const bytes = readFileSync(${JSON.stringify(digits.data)});
      const header = Number(bytes.readBigUInt64LE(0));
      const { images } = JSON.parse(bytes.subarray(8, 8 + header).toString());
      export default async function* () {
        for (let at = 0; at < 400; at += 10) {
          if (process.env.SLOW) await new Promise((resolve) => setTimeout(resolve, 50));
          const from = 8 + header + images.data_offsets[0] + at * 64;
          yield { data: Float32Array.from(bytes.subarray(from, from + 640), (v) => v / 8 - 1), shape: [10, 1, 8, 8] };
        }
      }`,
    );
  });

  test.each(["min-max", "histogram-l2", "mse"])("goes on to the same bits (%s)", async (observer) => {
    const state = at(`${observer}.state`);
    const args = (out: string): string[] => [
      "quantize", digits.model, "-o", out, "--data", program, "--observer", observer, "--no-check", "--checkpoint-every", "3",
    ]; // prettier-ignore
    const whole = at(`${observer}-whole.onnx`);
    expect((await fewbit(args(whole))).code).toBe(0);

    const resumed = at(`${observer}-resumed.onnx`);
    const killed = fewbit([...args(resumed), "--resume", state], {
      env: { SLOW: "1" },
      killWhen: () => existsSync(state),
    });
    expect((await killed).signal).toBe("SIGKILL");
    expect([existsSync(resumed), existsSync(state)]).toEqual([false, true]);

    const again = await fewbit([...args(resumed), "--resume", state]);
    expect([again.code, again.stderr]).toEqual([0, expect.stringMatching(/resuming at sample \d+/)]);
    expect(readFileSync(resumed).equals(readFileSync(whole))).toBe(true);
    expect(existsSync(state)).toBe(false);
  });

  test("the state of another calibration is refused", async () => {
    const state = at("other.state");
    const args = ["quantize", digits.model, "-o", at("o.onnx"), "--data", program, "--resume", state];
    await fewbit([...args, "--observer", "min-max", "--checkpoint-every", "3"], {
      env: { SLOW: "1" },
      killWhen: () => existsSync(state),
    });
    const { code, stderr } = await fewbit([...args, "--observer", "mse"]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/belongs to another model or to other settings/)]);
    writeFileSync(state, "no state");
    expect((await fewbit(args)).stderr).toMatch(/other\.state.*safetensors/);
  });
});

describe.concurrent("bad input leaves nothing behind", () => {
  const out = at("refused.onnx");
  const nan = fromArray(Array.from({ length: 3 * 64 }, (_, i) => (i === 130 ? NaN : 0.5)), [3, 1, 8, 8]); // prettier-ignore

  test.each([
    ["NaN", writeNpy(nan), [], /sample = 2 of .*NaN\.npy/],
    ["wrong-shape", writeNpy(fromArray([0, 0, 0, 0], [1, 1, 2, 2])), [], /images do not have the size/],
    ["none", writeNpy(fromArray([], [0, 1, 8, 8])), [], /there is no data/],
    ["short", writeNpy(nan).subarray(0, 300), [], /exactly the values/],
    ["std", writeNpy(fromArray(new Float32Array(64), [1, 1, 8, 8])), ["--std", "0"], /std must not be zero/],
  ])("%s", async (name, bytes, flags, message) => {
    const file = at(`${name}.npy`);
    writeFileSync(file, bytes);
    const { code, stdout, stderr } = await fewbit(["quantize", digits.model, "-o", out, "--data", file, ...flags]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect([existsSync(out), leftOvers()]).toEqual([false, []]);
  });

  test("an operator that is not there, with names that are near", async ({ expect }) => {
    const { code, stderr } = await fewbit(["quantize", digits.model, "-o", out, ...data, "--exclude", "Convv"]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/no operator of the model.*Did you mean/)]);
  });

  test("existing output, the model itself, a missing folder, no data", async ({ expect }) => {
    writeFileSync(at("mine.onnx"), "mine");
    const [existing, itself, missing, none] = await Promise.all([
      fewbit(["quantize", digits.model, "-o", at("mine.onnx"), ...data]),
      fewbit(["quantize", digits.model, "-o", digits.model, "--force", ...data]),
      fewbit(["quantize", digits.model, "-o", at("no/where.onnx"), ...data]),
      fewbit(["quantize", digits.model, "-o", out]),
    ]);
    expect([existing.code, existing.stderr]).toEqual([1, expect.stringMatching(/exists already/)]);
    expect(readFileSync(at("mine.onnx"), "utf8")).toBe("mine");
    expect([itself.code, itself.stderr]).toEqual([2, expect.stringMatching(/replace the model itself/)]);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/no such folder/)]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringMatching(/needs real inputs/)]);
  });

  test("a backend that is not installed says how to install it", async ({ expect }) => {
    // A copy of the sources where no package but the program's own dependencies can be found.
    const hidden = at("hide.mjs");
    writeFileSync(
      hidden,
      `import { registerHooks } from "node:module";
      registerHooks({ resolve(name, context, next) {
        if (name !== "onnxruntime-node" && name !== "sharp") return next(name, context);
        throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
      } });`,
    );
    mkdirSync(at("one"), { recursive: true });
    writeFileSync(at("one/a.png"), "x");
    const env = { NODE_OPTIONS: `--import=${path.join(hidden)}` };
    const [ort, sharp] = await Promise.all([
      fewbit(["eval", digits.model, ...data, "--backend", "onnxruntime-node"], { env }),
      fewbit(["quantize", digits.model, "-o", out, "--data", at("one")], { env }),
    ]);
    expect([ort.code, ort.stderr]).toEqual([1, expect.stringMatching(/not installed.*npm install onnxruntime-node/)]);
    expect([sharp.code, sharp.stderr]).toEqual([1, expect.stringMatching(/not installed.*npm install sharp/)]);
  });
});

test("the progress of a long calibration is told in a log, and --quiet keeps silent", async () => {
  const program = at("long.mjs");
  writeFileSync(
    program,
    `export default async function* () {
      for (let i = 0; i < 8; i++) {
        await new Promise((resolve) => setTimeout(resolve, 800));
        yield { data: new Float32Array(64).fill(i / 8), shape: [1, 1, 8, 8] };
      }
    }`,
  );
  const args = ["quantize", digits.model, "--data", program, "--no-check"];
  const [loud, quiet] = await Promise.all([
    fewbit([...args, "-o", at("loud.onnx"), "-n", "8"]),
    fewbit([...args, "-o", at("quiet.onnx"), "-n", "8", "--quiet"]),
  ]);
  expect(loud.stderr).toMatch(/calibrating \d+\/8 samples, [\d.]+\/s, ([\d.]+|under 1) s left/);
  expect([quiet.code, quiet.stderr]).toEqual([0, ""]);
}, 60_000);
