/** What a compiled graph cannot do is an error that names it, and leaves the executable and the engine usable. */

import { afterAll, describe, expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { EngineError, ShapeError } from "../../src/errors.ts";
import { capture } from "../../src/graph/capture.ts";
import { Conv2d, Linear, Module, ReLU, Sequential } from "../../src/nn/index.ts";
import "../../src/ops/methods.ts";
import { cumsum, relu } from "../../src/ops/index.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { randn, zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(21);

const MEGABYTE = 2 ** 20;
const net = new Sequential(new Conv2d(3, 8, 3, { padding: 1 }), new ReLU(), new Conv2d(8, 4, 3)).eval();
const graph = capture(net, [randn([2, 3, 12, 12])]);

describe("memory that cannot be had", () => {
  const engine = new Engine({ maxBytes: 4 * MEGABYTE });
  const executable = compile(graph, { engine });
  const x = randn([2, 3, 12, 12]);
  const expected = executable.runOne(x);
  const used = engine.memory.usedBytes;

  test("is an error that says what to do", () => {
    const tooMany = (): unknown => executable.run(zeros([4000, 3, 12, 12]));
    expect(tooMany).toThrow(EngineError);
    expect(tooMany).toThrow(/cannot grow by that much.*smaller batch/s);
  });

  test("leaves nothing behind", () => {
    expect(engine.memory.usedBytes).toBe(used);
    expect(executable.runOne(x).data).toEqual(expected.data);
  });

  test("nothing is used once it is disposed of", () => {
    executable.dispose();
    expect(engine.memory.usedBytes).toBe(0);
    expect(() => executable.run(x)).toThrow(/disposed/);
    expect(() => executable.explain([x])).toThrow(/disposed/);
    executable.dispose();
  });

  test("plans beyond maxPlans give their memory back", () => {
    const few = compile(graph, { engine, maxPlans: 2 });
    const sizes = [1, 2, 3, 4].map((batch) => {
      few.run(randn([batch, 3, 12, 12]));
      return engine.memory.usedBytes;
    });
    expect(sizes[3]!).toBeLessThan(sizes[2]! * 2);
    few.dispose();
    expect(engine.memory.usedBytes).toBe(0);
  });
});

describe("inputs that do not fit", () => {
  const executable = compile(graph);
  afterAll(() => executable.dispose());

  test.each<[string, Tensor[], RegExp]>([
    ["too few", [], /number of tensors/],
    ["too many", [randn([2, 3, 12, 12]), randn([1])], /number of tensors/],
    ["another rank", [randn([3, 12, 12])], /captured dtype and shape/],
    ["other channels", [randn([2, 4, 12, 12])], /captured dtype and shape/],
    ["another size", [randn([2, 3, 12, 13])], /captured dtype and shape/],
    ["another dtype", [zeros([2, 3, 12, 12], { dtype: "float64" })], /float64/],
  ])("%s", (_, inputs, message) => {
    expect(() => executable.run(...inputs)).toThrow(ShapeError);
    expect(() => executable.run(...inputs)).toThrow(message);
    expect(executable.runOne(randn([1, 3, 12, 12])).shape).toEqual([1, 4, 10, 10]);
  });

  test("an empty batch gives an empty result", () => {
    expect(executable.runOne(zeros([0, 3, 12, 12])).shape).toEqual([0, 4, 10, 10]);
  });

  test("a graph for one batch size says why", () => {
    class Fixed extends Module {
      forward(x: Tensor): Tensor {
        return relu(x).reshape([2, 6]);
      }
    }
    const fixed = compile(capture(new Fixed(), [randn([2, 6])], { dynamicBatch: false }));
    expect(() => fixed.run(randn([3, 6]))).toThrow(ShapeError);
    fixed.dispose();
  });
});

test("an operator without a kernel is named with its place and the way out, which works", () => {
  class Sums extends Module {
    private readonly linear = new Linear(4, 4);

    forward(x: Tensor): Tensor {
      return cumsum(this.linear.forward(x), 1);
    }
  }
  const sums = capture(new Sums(), [randn([2, 4])]);
  const x = randn([3, 4]);
  expect(() => compile(sums).run(x)).toThrow(/operator = cumsum.*bad-input\.test\.ts.*fallback: "reference"/s);
  const executable = compile(sums, { fallback: "reference" });
  const given = executable.runOne(x).data;
  sums.run(x).data.forEach((v: number, i: number) => expect(given[i]).toBeCloseTo(v, 5));
  const { steps } = executable.explain([x]);
  expect(steps.filter(({ precision }) => precision === "reference").map(({ why }) => why)).toEqual([
    "the engine has no kernel for it",
  ]);
  executable.dispose();
});
