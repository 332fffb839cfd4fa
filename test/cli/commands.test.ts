/** The commands that look at models and run them, and what a wrong command line gets. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readNpz, writeNpy, writeNpz } from "../../src/data/index.ts";
import { fromArray } from "../../src/tensor/create.ts";
import { model, node } from "../onnx/models.ts";
import { digits, fewbit, json, temporaryFolder } from "./support.ts";

const { at, remove } = temporaryFolder();
afterAll(remove);

const add = model({
  inputs: { a: ["N", 2], b: ["N", 2] },
  nodes: [node("Add", ["a", "b"], ["sum"]), node("Relu", ["sum"], ["y"])],
  outputs: ["sum", "y"],
});

beforeAll(() => {
  writeFileSync(at("add.onnx"), add);
  writeFileSync(at("relu.onnx"), model({ inputs: { x: ["N", 2] }, nodes: [node("Relu", ["x"], ["y"])], outputs: ["y"] })); // prettier-ignore
  writeFileSync(at("a.npy"), writeNpy(fromArray([1, -5], [1, 2])));
  writeFileSync(at("b.npy"), writeNpy(fromArray([2, 3], [1, 2])));
});

describe.concurrent("help", () => {
  test("every command tells how it is used, with examples", async ({ expect }) => {
    const { stdout, code } = await fewbit(["--help"]);
    const commands = [...stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, name]) => name!);
    expect([code, commands]).toEqual([0, ["inspect", "quantize", "run", "eval", "bench", "compare", "explain", "doctor"]]); // prettier-ignore
    for (const { stdout: text, code: ok } of await Promise.all(commands.map((name) => fewbit(["help", name])))) {
      expect(ok).toBe(0);
      expect(text).toMatch(/Examples:\n {2}fewbit /);
    }
  });

  test("the version is the package's", async ({ expect }) => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect((await fewbit(["--version"])).stdout.trim()).toBe(version);
  });
});

describe.concurrent("a wrong command line ends with 2 and says what is wrong", () => {
  test.each([
    [[], /Usage: fewbit/],
    [["frobnicate"], /unknown command 'frobnicate'/],
    [["inspect"], /missing required argument 'model.onnx'/],
    [["inspect", "m.onnx", "--frob"], /unknown option '--frob'/],
    [["eval", "m.onnx"], /--data/],
    [["eval", "m.onnx", "-d", "x.npy", "-n", "0"], /whole number from 1 on/],
    [["eval", "m.onnx", "-d", "x.npy", "--mean", "a,b"], /a number or a fraction/],
    [["eval", "m.onnx", "-d", "x.npy", "--backend", "tensorflow"], /Allowed choices are fewbit, onnxruntime-node/],
    [["bench", digits.model, "--backend", "tensorflow"], /there is no backend tensorflow/],
    [["run", digits.model, "--input", "a.npy", "-o", "y.txt"], /not to y.txt/],
  ])("fewbit %j", async (args, message) => {
    const { code, stdout, stderr } = await fewbit(args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
  });
});

describe.concurrent("inspect", () => {
  test("describes a model", async ({ expect }) => {
    const { stdout, code } = await fewbit(["inspect", digits.model]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/inputs +x: float32\[N, 1, 8, 8\]/);
    expect(stdout).toMatch(/^Conv +6$/m);
  });

  test("gives JSON", async ({ expect }) => {
    const found = json<{ operators: { name: string; count: number }[]; quantization: { form: string } }>(
      await fewbit(["inspect", digits.model, "--json"]),
    );
    expect(found.operators[0]).toEqual({ name: "Conv", count: 6, problem: null });
    expect(found.quantization.form).toBe("float");
  });

  test("prints the graph", async ({ expect }) => {
    expect((await fewbit(["inspect", at("relu.onnx"), "--graph"])).stdout).toMatch(/%y = relu\(%x\)/);
  });
});

describe.concurrent("run", () => {
  const inputs = ["--input", `a=${at("a.npy")}`, "--input", `b=${at("b.npy")}`];

  test.each(["fewbit", "onnxruntime-node", "onnxruntime-web"])("writes outputs of %s by name", async (backend) => {
    const out = at(`${backend}.npz`);
    const { code, stderr } = await fewbit(["run", at("add.onnx"), ...inputs, "-o", out, "--backend", backend]);
    expect([code, stderr]).toEqual([0, ""]);
    const arrays = readNpz(readFileSync(out));
    expect([...arrays].map(([name, x]) => [name, x.tolist()])).toEqual([["sum", [[3, -2]]], ["y", [[3, 0]]]]); // prettier-ignore
  });

  test("takes all inputs from one file", async ({ expect }) => {
    writeFileSync(at("both.npz"), writeNpz([["a", fromArray([1, 1], [1, 2])], ["b", fromArray([1, 1], [1, 2])]])); // prettier-ignore
    const result = json<{ outputs: { name: string; first: number[] }[] }>(
      await fewbit(["run", at("add.onnx"), "--input", at("both.npz"), "--json"]),
    );
    expect(result.outputs.map(({ name, first }) => [name, first])).toEqual([["sum", [2, 2]], ["y", [2, 2]]]); // prettier-ignore
  });

  test("refuses to replace a file, and does with --force", async ({ expect }) => {
    writeFileSync(at("there.npz"), "mine");
    const args = ["run", at("add.onnx"), ...inputs, "-o", at("there.npz")];
    const refused = await fewbit(args);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/exists already.*--force/)]);
    expect(readFileSync(at("there.npz"), "utf8")).toBe("mine");
    expect((await fewbit([...args, "--force"])).code).toBe(0);
  });

  test("names the input without a tensor", async ({ expect }) => {
    const { code, stderr } = await fewbit(["run", at("add.onnx"), "--input", `a=${at("a.npy")}`]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/no tensor for the input b/)]);
  });
});

describe.concurrent("eval and bench", () => {
  test("counts right answers, the same on both backends", async ({ expect }) => {
    const args = ["eval", digits.model, "-d", digits.data, ...digits.flags, "-n", "300", "--json"];
    const [own, other] = await Promise.all([fewbit(args), fewbit([...args, "--backend", "onnxruntime-node"])]);
    type Result = { models: { top1: number; top5: number; samples: number }[] };
    const [a, b] = [json<Result>(own).models[0]!, json<Result>(other).models[0]!];
    expect(a.samples).toBe(300);
    expect(a.top1).toBeGreaterThan(0.97);
    expect([a.top1, a.top5]).toEqual([b.top1, b.top5]);
  });

  test("compares with a reference", async ({ expect }) => {
    const args = ["eval", digits.model, "-r", digits.model, "-d", digits.data, ...digits.flags, "-n", "50"];
    expect((await fewbit(args)).stdout).toMatch(/equal/);
  });

  test("times models on all backends", async ({ expect }) => {
    const results = json<{ backend: string; median: number; p90: number; fastest: number; throughput: number }[]>(
      await fewbit([
        "bench", digits.model, "--backend", "fewbit,onnxruntime-node", "--seconds", "0.05", "--threads", "1", "--json",
      ]), // prettier-ignore
    );
    expect(results.map(({ backend }) => backend)).toEqual(["fewbit", "onnxruntime-node"]);
    for (const { fastest, median, p90, throughput } of results) {
      expect(fastest).toBeGreaterThan(0);
      expect(median).toBeGreaterThanOrEqual(fastest);
      expect(p90).toBeGreaterThanOrEqual(median);
      expect(throughput).toBeCloseTo(1000 / median, 6);
    }
  });
});

describe.concurrent("explain and doctor", () => {
  test("doctor ends with 1 for a broken model and names module and line", async ({ expect }) => {
    const { code, stdout } = await fewbit(["doctor", "test/cli/programs/broken.ts", "--qconfig", "x86"], {
      fromSource: true,
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/missing-quant-stub: conv, broken\.ts:13/);
  });

  test("doctor ends with 0 for a sound one, in JSON too", async ({ expect }) => {
    const args = ["doctor", "test/cli/programs/good.ts", "--qconfig", "x86", "--input", "1,1,4,4"];
    const [text, data] = await Promise.all([
      fewbit(args, { fromSource: true }),
      fewbit([...args, "--json"], { fromSource: true }),
    ]);
    expect([text.code, text.stdout.trim()]).toEqual([0, "no mistakes found"]);
    expect([data.code, json(data)]).toEqual([0, { model: "test/cli/programs/good.ts", findings: [] }]);
  });

  test("doctor examines for FX, by the program's own mapping or a default one", async ({ expect }) => {
    const [named, qat, onnx] = await Promise.all([
      fewbit(["doctor", "test/cli/programs/fx.ts", "--fx"], { fromSource: true }),
      fewbit(["doctor", "test/cli/programs/broken.ts", "--fx", "--flow", "qat", "--qconfig", "qnnpack"], {
        fromSource: true,
      }),
      fewbit(["doctor", digits.model, "--fx"]),
    ]);
    expect(named.code).toBe(1);
    expect(named.stdout).toMatch(/^qconfig-matches-nothing: \(root\), broken\.ts:18\n.*cnov.*\n.*Did you mean conv,/);
    // The model that lacks stubs in eager mode: FX needs none.
    expect([qat.code, qat.stdout.trim()]).toEqual([0, "no mistakes found"]);
    expect([onnx.code, onnx.stderr]).toEqual([2, expect.stringMatching(/--fx is for programs/)]);
  });

  test("doctor asks for the inputs it needs", async ({ expect }) => {
    const { code, stderr } = await fewbit(["doctor", "test/cli/programs/good.ts"], { fromSource: true });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--input 1,3,32,32/)]);
  });

  test("explain tells what modules become", async ({ expect }) => {
    const { stdout } = await fewbit(["explain", "test/cli/programs/good.ts", "--qconfig", "x86"], { fromSource: true });
    expect(stdout).toMatch(/conv +Conv2d +quantized Conv2d/);
  });

  test("explain tells how the engine runs an ONNX file", async ({ expect }) => {
    const { stdout } = await fewbit(["explain", digits.model]);
    expect(stdout).toMatch(/compiled, steps: .*float/);
  });

  test("a program without a model is refused", async ({ expect }) => {
    writeFileSync(at("none.mjs"), "export const a = 1; export const b = 2;");
    const { code, stderr } = await fewbit(["doctor", at("none.mjs"), "--input", "1,2"]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/exports no model.*--export/)]);
  });
});

describe.concurrent("bad input is one sentence, and exit code 1", () => {
  const truncated = readFileSync(digits.model).subarray(0, 5000);
  const cyclic = model({
    inputs: { x: [2] },
    nodes: [node("Add", ["x", "z"], ["y"]), node("Relu", ["y"], ["z"])],
    outputs: ["y"],
  });
  const external = (location: string): Uint8Array =>
    model({ inputs: {}, nodes: [node("Relu", ["w"], ["y"])], external: { w: location }, outputs: ["y"] });
  const cases: [string, Uint8Array, RegExp][] = [
    ["truncated.onnx", truncated, /not an ONNX file/],
    ["empty.onnx", new Uint8Array(), /holds no graph/],
    ["text.onnx", new TextEncoder().encode("this is no model"), /not an ONNX file/],
    ["cyclic.onnx", cyclic, /cycle/],
    ["escape.onnx", external("../../etc/passwd"), /must stay in the folder/],
    ["missing.onnx", external("weights.bin"), /values is missing.*weights.bin/],
  ];

  test.each(cases)("%s", async (name, bytes, message) => {
    writeFileSync(at(name), bytes);
    const { code, stdout, stderr } = await fewbit(["run", at(name), "-o", at(`${name}.npz`)]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(message);
    expect(stderr).toContain(name);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("a folder, a missing file, odd names", async ({ expect }) => {
    mkdirSync(at("dir.onnx"));
    writeFileSync(at("ö ü; $(x).onnx"), readFileSync(digits.model));
    const [folder, missing, odd] = await Promise.all([
      fewbit(["inspect", at("dir.onnx")]),
      fewbit(["inspect", at("gone.onnx")]),
      fewbit(["inspect", at("ö ü; $(x).onnx")]),
    ]);
    expect([folder.code, folder.stderr]).toEqual([1, expect.stringMatching(/it is a folder/)]);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/there is no such file/)]);
    expect(odd.code).toBe(0);
  });

  test("with --json the error is data on stdout", async ({ expect }) => {
    const outcome = await fewbit(["inspect", at("gone.onnx"), "--json"]);
    expect([outcome.code, json(outcome)]).toEqual([
      1,
      { error: expect.objectContaining({ name: "OnnxError", rule: "there is no such file" }) as unknown },
    ]);
  });
});
