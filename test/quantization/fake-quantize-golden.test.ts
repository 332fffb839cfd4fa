/** golden/fake-quantize.json: fake-quantize modules step by step, and the settings of every named default. */

import { describe, expect, test } from "vitest";
import { grad } from "../../src/autograd/backward.ts";
import { FewbitError } from "../../src/errors.ts";
import type { AnyModule } from "../../src/nn/module.ts";
import * as quantization from "../../src/quantization/index.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { loadGolden } from "../golden/load.ts";
import type { Fields, GoldenCase, Value } from "../golden/load.ts";
import { expectSame, numberOf, tensorOf } from "../ops/quantize/support.ts";
import { expectSettings } from "./support.ts";

const exported = quantization as unknown as Record<string, unknown>;

/** Names of observer classes in golden options are the classes themselves. */
function optionsOf(options: Value | undefined): object {
  const { observer, ...rest } = options as Fields;
  return { ...rest, observer: exported[observer as string] };
}

function checkState(
  module: AnyModule,
  want: Value | undefined,
  what: string,
  undefinedKeys: readonly string[] = [],
): void {
  const state = module.stateDict();
  for (const [key, value] of Object.entries(want as Fields)) {
    if (undefinedKeys.includes(key)) expect(state.get(key)!.shape).toEqual(tensorOf(value).shape);
    else expectSame(state.get(key)!, value, `${key} ${what}`);
  }
}

/** PyTorch's fused module lengthens scale and zero point to the channels without writing them while rounding is off. */
const UNWRITTEN = ["scale", "zero_point"];

function checkQParams(module: quantization.FakeQuantizeBase, expected: Fields): void {
  const { scale, zeroPoint } = module.calculateQParams();
  expectSame(scale, expected["scale"], "scale");
  expectSame(zeroPoint, expected["zeroPoint"], "zeroPoint");
}

interface Step {
  readonly x: Tensor;
  readonly gradOutput: Tensor;
  readonly want: Fields;
  readonly what: string;
}

function stepsOf({ inputs, expected }: GoldenCase): Step[] {
  return (inputs["steps"] as readonly Fields[]).map((step, i) => ({
    x: tensorOf(step["x"]).requireGrad(),
    gradOutput: tensorOf(step["gradOutput"]),
    want: (expected["steps"] as readonly Fields[])[i]!,
    what: `of step ${i}`,
  }));
}

function makeSwitched({ op, attrs }: GoldenCase): quantization.FakeQuantize {
  if (attrs["named"]) return (exported[attrs["named"] as string] as () => quantization.FakeQuantize)();
  return new (exported[op] as new (options: object) => quantization.FakeQuantize)(optionsOf(attrs["options"]));
}

function runSwitched(one: GoldenCase): void {
  const module = makeSwitched(one);
  const unwritable = module instanceof quantization.FusedMovingAvgObsFakeQuantize && module.isPerChannel;
  let written = false;
  stepsOf(one).forEach(({ x, gradOutput, want, what }, i) => {
    const rounds = (one.attrs["fakeQuantEnabled"] as boolean[])[i]!;
    module.enableFakeQuant(rounds);
    written ||= rounds;
    module.enableObserver((one.attrs["observerEnabled"] as boolean[])[i]);
    const y = module.forward(x);
    expectSame(y, want["output"], `output ${what}`);
    if (y !== x) expectSame(grad(y, [x], { gradient: gradOutput })[0]!, want["gradX"], `gradX ${what}`);
    checkState(module, want["state"], what, unwritable && !written ? UNWRITTEN : []);
  });
  checkQParams(module, one.expected);
}

/**
 * PyTorch sums the gradients of scale and zero point in float32 in an order of its own: relative to the sum of
 * magnitudes |dy| times the widest integer distance, one float32 rounding.
 */
const LEARNABLE_SUM_BUDGET = 2 ** -23;

function runLearnable(one: GoldenCase): void {
  const module = new quantization.LearnableFakeQuantize(optionsOf(one.attrs["options"]));
  const modes = one.attrs["modes"] as readonly string[];
  stepsOf(one).forEach(({ x, gradOutput, want, what }, i) => {
    if (modes[i] === "learn") module.enableParamLearning();
    else if (modes[i] === "static") module.enableStaticEstimate();
    else module.enableStaticObservation();
    const y = module.forward(x);
    expectSame(y, want["output"], `output ${what}`);
    checkState(module, want["state"], what);
    if (y === x) return;
    const { scale, zeroPoint } = module;
    const [dx, ds, dz] = grad(y, [x, scale, zeroPoint], { gradient: gradOutput }) as [
      Tensor,
      Tensor | null,
      Tensor | null,
    ];
    expectSame(dx, want["gradX"], `gradX ${what}`);
    if (modes[i] !== "learn") return;
    const magnitudes = Array.from(gradOutput.data).reduce((sum, v) => sum + Math.abs(v), 0);
    for (const [got, name, widest] of [
      [ds!, "gradScale", module.quantMax - module.quantMin],
      [dz!, "gradZeroPoint", 1],
    ] as const) {
      const golden = tensorOf(want[name]);
      got.data.forEach((v, c) => {
        expect(Math.abs(v - golden.data[c]!), `${name} ${what}`).toBeLessThanOrEqual(
          LEARNABLE_SUM_BUDGET * magnitudes * widest,
        );
      });
      // Parameters go on from PyTorch's gradients, so that later steps compare one rule each.
      const rate = numberOf(one.attrs[name === "gradScale" ? "lrScale" : "lrZeroPoint"]);
      const parameter = name === "gradScale" ? scale : zeroPoint;
      parameter.assign(Array.from(parameter.data, (v, c) => v - Math.fround(Math.fround(rate) * golden.data[c]!)));
    }
  });
  checkQParams(module, one.expected);
}

function describeModule(module: AnyModule, want: Value | undefined): void {
  const { observer, flagDtype, zeroPointDtype, stateKeys, fakeQuantEnabled, observerEnabled, ...settings } =
    want as Fields;
  expectSettings(module, settings);
  if (!(module instanceof quantization.FakeQuantize)) return;
  expectSettings(module.activationPostProcess, observer as Fields);
  expect(module.fakeQuantEnabled.dtype).toBe(flagDtype);
  expect(module.zeroPoint.dtype).toBe(zeroPointDtype);
  expect([...module.stateDict().keys()].sort()).toEqual(stateKeys);
  expect([module.fakeQuantEnabled.item(), module.observerEnabled.item()]).toEqual([fakeQuantEnabled, observerEnabled]);
}

function runQConfig({ attrs, expected }: GoldenCase): void {
  const getter = exported[attrs["getter"] as string] as
    ((backend: Value, version: Value) => quantization.QConfig) | undefined;
  const qconfig = getter
    ? getter(attrs["backend"]!, attrs["version"]!)
    : (exported[attrs["name"] as string] as quantization.QConfig);
  describeModule(qconfig.activation(), expected["activation"]);
  describeModule(qconfig.weight(), expected["weight"]);
  expect(quantization.activationIsMemoryless(qconfig)).toBe(expected["activationIsMemoryless"]);
}

function run(one: GoldenCase): void {
  if (one.op === "qconfig") runQConfig(one);
  else if (one.op === "LearnableFakeQuantize") runLearnable(one);
  else if (one.op === "namedFakeQuantize") {
    describeModule((exported[one.attrs["name"] as string] as () => AnyModule)(), one.expected["settings"]);
  } else runSwitched(one);
}

describe("golden fake-quantize", () => {
  test.each(loadGolden("fake-quantize").cases.map((one) => [one.name, one] as const))("%s", (_, one) => {
    if ("throws" in one.expected) expect(() => run(one)).toThrow(FewbitError);
    else run(one);
  });
});
