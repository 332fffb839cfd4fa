/** golden/numerics.json: every integer and every float as PyTorch has it. */

import { describe, expect, test } from "vitest";
import { grad } from "../../../src/autograd/backward.ts";
import { FewbitError } from "../../../src/errors.ts";
import * as q from "../../../src/ops/quantize/index.ts";
import type { DType, QuantizedDType } from "../../../src/tensor/dtype.ts";
import { ones, scalar, zeros } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { loadGolden } from "../../golden/load.ts";
import type { Fields, GoldenCase, Value } from "../../golden/load.ts";
import { expectSame, numberOf, tensorOf } from "./support.ts";

type Runner = (inputs: Fields, attrs: Fields, expected: Fields) => void;

const gradientOf = (y: Tensor, inputs: Tensor[], gradient: Value | undefined): (Tensor | null)[] =>
  grad(y, inputs, { gradient: tensorOf(gradient) });
const range = (attrs: Fields): { quantMin: number; quantMax: number; dtype: DType } => ({
  quantMin: numberOf(attrs["quantMin"]),
  quantMax: numberOf(attrs["quantMax"]),
  dtype: attrs["dtype"] as DType,
});

function checkPair(output: Tensor, dequantized: Tensor, expected: Fields): void {
  expectSame(output, expected["output"]);
  expectSame(dequantized, expected["dequantized"], "dequantized");
}

function checkFakeQuantize(
  y: Tensor,
  inputs: Tensor[],
  names: string[],
  gradient: Value | undefined,
  expected: Fields,
): void {
  expectSame(y, expected["output"]);
  const got = gradientOf(y, inputs, gradient);
  names.forEach((name, i) => expectSame(got[i]!, expected[name], name));
}

const runners: Record<string, Runner> = {
  quantizePerTensor({ x }, { scale, zeroPoint, dtype }, expected) {
    const out = q.quantizePerTensor(tensorOf(x), numberOf(scale), numberOf(zeroPoint), dtype as QuantizedDType);
    checkPair(out, q.dequantize(out), expected);
  },
  quantizePerChannel({ x, scales, zeroPoints }, { axis, dtype }, expected) {
    const out = q.quantizePerChannel(
      tensorOf(x),
      tensorOf(scales),
      tensorOf(zeroPoints),
      numberOf(axis),
      dtype as QuantizedDType,
    );
    checkPair(out, q.dequantize(out), expected);
  },
  quantizePerTensorDynamic({ x }, { dtype, reduceRange }, expected) {
    const out = q.quantizePerTensorDynamic(tensorOf(x), dtype as "quint8" | "float16", reduceRange === true);
    expectSame(out, expected["output"]);
    if (expected["dequantized"]) expectSame(q.dequantize(out), expected["dequantized"], "dequantized");
  },
  chooseQParamsPerTensor({ x }, { reduceRange }, expected) {
    expect(q.chooseQParamsPerTensor(tensorOf(x), reduceRange === true)).toEqual(expected);
  },
  "decomposed.chooseQParams"({ x }, attrs, expected) {
    const [scale, zeroPoint] = q.decomposedChooseQParams(tensorOf(x), { ...range(attrs), eps: numberOf(attrs["eps"]) });
    expectSame(scale, expected["scale"]);
    expectSame(zeroPoint, expected["zeroPoint"]);
  },
  "decomposed.chooseQParamsSymmetric"({ x }, attrs, expected) {
    const [scale, zeroPoint] = q.decomposedChooseQParamsSymmetric(tensorOf(x), {
      ...range(attrs),
      eps: numberOf(attrs["eps"]),
    });
    expectSame(scale, expected["scale"]);
    expectSame(zeroPoint, expected["zeroPoint"]);
  },
  "decomposed.chooseQParamsPerTokenAsymmetric"({ x }, _, expected) {
    const [scale, zeroPoint] = q.decomposedChooseQParamsPerTokenAsymmetric(tensorOf(x));
    expectSame(scale, expected["scale"]);
    expectSame(zeroPoint, expected["zeroPoint"]);
  },
  "decomposed.quantizePerToken"({ x, scale, zeroPoint }, attrs, expected) {
    const parameters = [tensorOf(scale), tensorOf(zeroPoint), range(attrs)] as const;
    const out = q.decomposedQuantizePerToken(tensorOf(x), ...parameters);
    checkPair(out, q.decomposedDequantizePerToken(out, ...parameters), expected);
  },
  "decomposed.quantizePerTensor"({ x }, attrs, expected) {
    const parameters = [numberOf(attrs["scale"]), numberOf(attrs["zeroPoint"]), range(attrs)] as const;
    const out = q.decomposedQuantizePerTensor(tensorOf(x), ...parameters);
    checkPair(out, q.decomposedDequantizePerTensor(out, ...parameters), expected);
  },
  "decomposed.quantizePerChannel"({ x, scales, zeroPoints }, attrs, expected) {
    const parameters = [tensorOf(scales), tensorOf(zeroPoints), numberOf(attrs["axis"]), range(attrs)] as const;
    const out = q.decomposedQuantizePerChannel(tensorOf(x), ...parameters);
    checkPair(out, q.decomposedDequantizePerChannel(out, ...parameters), expected);
  },
  "decomposed.quantizePerChannelGroup"({ x, scales, zeroPoints }, attrs, expected) {
    const all = { ...range(attrs), groupSize: numberOf(attrs["groupSize"]) };
    const out = q.decomposedQuantizePerChannelGroup(tensorOf(x), tensorOf(scales), tensorOf(zeroPoints), all);
    checkPair(out, q.decomposedDequantizePerChannelGroup(out, tensorOf(scales), tensorOf(zeroPoints), all), expected);
  },
  fakeQuantizePerTensorAffine({ x, gradOutput }, attrs, expected) {
    const leaf = tensorOf(x).requireGrad();
    const { quantMin, quantMax } = range(attrs);
    const y = q.fakeQuantizePerTensorAffine(
      leaf,
      numberOf(attrs["scale"]),
      numberOf(attrs["zeroPoint"]),
      quantMin,
      quantMax,
    );
    checkFakeQuantize(y, [leaf], ["gradX"], gradOutput, expected);
  },
  fakeQuantizePerChannelAffine({ x, scales, zeroPoints, gradOutput }, attrs, expected) {
    const leaf = tensorOf(x).requireGrad();
    const { quantMin, quantMax } = range(attrs);
    const y = q.fakeQuantizePerChannelAffine(
      leaf,
      tensorOf(scales),
      tensorOf(zeroPoints),
      numberOf(attrs["axis"]),
      quantMin,
      quantMax,
    );
    checkFakeQuantize(y, [leaf], ["gradX"], gradOutput, expected);
  },
  fakeQuantizeLearnablePerTensorAffine({ x, scale, zeroPoint, gradOutput }, attrs, expected) {
    const leaves = [x, scale, zeroPoint].map((leaf) => tensorOf(leaf).requireGrad()) as [Tensor, Tensor, Tensor];
    const { quantMin, quantMax } = range(attrs);
    const y = q.fakeQuantizeLearnablePerTensorAffine(...leaves, quantMin, quantMax, numberOf(attrs["gradFactor"]));
    checkLearnable(y, leaves, gradOutput, attrs, expected);
  },
  fakeQuantizeLearnablePerChannelAffine({ x, scale, zeroPoint, gradOutput }, attrs, expected) {
    const leaves = [x, scale, zeroPoint].map((leaf) => tensorOf(leaf).requireGrad()) as [Tensor, Tensor, Tensor];
    const { quantMin, quantMax } = range(attrs);
    const axis = numberOf(attrs["axis"]);
    const y = q.fakeQuantizeLearnablePerChannelAffine(
      ...leaves,
      axis,
      quantMin,
      quantMax,
      numberOf(attrs["gradFactor"]),
    );
    checkLearnable(y, leaves, gradOutput, attrs, expected);
  },
  fusedMovingAvgObsFakeQuant: checkFused,
};

/**
 * PyTorch adds the gradients of scale and zero point up in float32, in an order of its own: one rounding of the
 * largest partial sum that the summands allow, |dy| times the widest integer distance each.
 */
const LEARNABLE_SUM_BUDGET = 2 ** -23;

function checkLearnable(
  y: Tensor,
  leaves: readonly Tensor[],
  gradient: Value | undefined,
  attrs: Fields,
  expected: Fields,
): void {
  expectSame(y, expected["output"]);
  const [dx, ds, dz] = gradientOf(y, [...leaves], gradient) as [Tensor, Tensor, Tensor];
  expectSame(dx, expected["gradX"]);
  const { quantMin, quantMax } = range(attrs);
  const summands =
    Array.from(tensorOf(gradient).data).reduce((sum, v) => sum + Math.abs(v), 0) * numberOf(attrs["gradFactor"]);
  for (const [got, name, widest] of [
    [ds, "gradScale", quantMax - quantMin],
    [dz, "gradZeroPoint", 1],
  ] as const) {
    const want = tensorOf(expected[name]);
    got.data.forEach((v, i) => {
      expect(Math.abs(v - want.data[i]!), name).toBeLessThanOrEqual(LEARNABLE_SUM_BUDGET * summands * widest);
    });
  }
}

function checkFused({ steps }: Fields, attrs: Fields, expected: Fields): void {
  const perRow = attrs["perRowFakeQuant"] === true;
  const channels = perRow ? 3 : 1;
  let state: q.FusedState = {
    runningMin: perRow ? zeros([0]) : scalar(Infinity),
    runningMax: perRow ? zeros([0]) : scalar(-Infinity),
    scale: ones([channels]),
    zeroPoint: zeros([channels], { dtype: "int32" }),
  };
  (steps as readonly Fields[]).forEach((step, i) => {
    const leaf = tensorOf(step["x"]).requireGrad();
    const result = q.fusedMovingAvgObsFakeQuant(leaf, state, {
      ...range(attrs),
      observerOn: (attrs["observerOn"] as number[])[i] === 1,
      fakeQuantOn: (attrs["fakeQuantOn"] as number[])[i] === 1,
      averagingConst: numberOf(attrs["averagingConst"]),
      chAxis: perRow ? numberOf(attrs["chAxis"]) : null,
      symmetricQuant: attrs["symmetricQuant"] === true,
    });
    const want = (expected["steps"] as readonly Fields[])[i]!;
    expectSame(result.output, want["output"], `output of step ${i}`);
    for (const key of ["runningMin", "runningMax", "scale", "zeroPoint"] as const)
      expectSame(result[key], want[key], `${key} of step ${i}`);
    if (result.output !== leaf)
      expectSame(gradientOf(result.output, [leaf], step["gradOutput"])[0]!, want["gradX"], `gradX of step ${i}`);
    state = result;
  });
}

function check({ op, inputs, attrs, expected }: GoldenCase): void {
  const run = runners[op];
  if (!run) throw new Error(`no runner for ${op}`);
  if ("throws" in expected) expect(() => run(inputs, attrs, expected)).toThrow(FewbitError);
  else run(inputs, attrs, expected);
}

describe("golden numerics", () => {
  test.each(loadGolden("numerics").cases.map((one) => [one.name, one] as const))("%s", (_, one) => check(one));
});
