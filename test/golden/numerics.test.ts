/**
 * Quantize, dequantize, fake-quantize and qparam selection against PyTorch's vectors: every integer, every forward
 * float and every elementwise gradient is equal, bit for bit. Gradients summed over elements have a budget.
 */

import { describe, expect, it } from "vitest";
import "../../src/ops/methods.ts";
import { FewbitError } from "../../src/errors.ts";
import { fakeQuantizePerChannelAffine, fakeQuantizePerTensorAffine } from "../../src/ops/quantize/fake-quantize.ts";
import { fusedMovingAvgObsFakeQuant } from "../../src/ops/quantize/fused.ts";
import type { FusedState } from "../../src/ops/quantize/fused.ts";
import { fakeQuantizeLearnablePerChannelAffine, fakeQuantizeLearnablePerTensorAffine } from "../../src/ops/quantize/learnable.ts";
import {
  chooseQParamsPerTensor,
  dequantize,
  intRepr,
  quantizePerChannel,
  quantizePerTensor,
  quantizePerTensorDynamic,
} from "../../src/ops/quantize/native.ts";
import type { QuantizedDType } from "../../src/tensor/dtype.ts";
import { full, zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { EXACT, expectTensor, leaf, listAt, numberAt, table, tensorAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import type { Fields, GoldenCase } from "./load.ts";

/** Gradients of scale and zero point are sums over elements, whose order PyTorch does not define. */
const SUMMED: Budget = { absolute: 1e-5, ofLargest: 1e-5 };

function quantize({ op, inputs, attrs }: GoldenCase): Tensor {
  const x = tensorAt(inputs, "x");
  const dtype = attrs["dtype"] as QuantizedDType;
  if (op === "quantizePerTensor") return quantizePerTensor(x, numberAt(attrs, "scale"), numberAt(attrs, "zeroPoint"), dtype);
  if (op === "quantizePerTensorDynamic") return quantizePerTensorDynamic(x, dtype as "quint8", attrs["reduceRange"] as boolean);
  return quantizePerChannel(x, tensorAt(inputs, "scales"), tensorAt(inputs, "zeroPoints"), numberAt(attrs, "axis"), dtype);
}

function checkNative(one: GoldenCase): void {
  const q = quantize(one);
  expectTensor(q, tensorAt(one.expected, "output"), EXACT, "output");
  if (!q.isQuantized) return;
  expectTensor(dequantize(q), tensorAt(one.expected, "dequantized"), EXACT, "dequantized");
  expect([...intRepr(q).data]).toEqual([...q.data]);
}

function checkQParams({ inputs, attrs, expected }: GoldenCase): void {
  const chosen = chooseQParamsPerTensor(tensorAt(inputs, "x"), attrs["reduceRange"] as boolean);
  expect(chosen).toEqual({ scale: numberAt(expected, "scale"), zeroPoint: numberAt(expected, "zeroPoint") });
}

function backwardOf(y: Tensor, { inputs }: Pick<GoldenCase, "inputs">): void {
  y.backward({ gradient: tensorAt(inputs, "gradOutput") });
}

function checkFakeQuantize(one: GoldenCase): void {
  const { op, inputs, attrs, expected } = one;
  const x = leaf(tensorAt(inputs, "x"));
  const [low, high] = [numberAt(attrs, "quantMin"), numberAt(attrs, "quantMax")];
  const y =
    op === "fakeQuantizePerTensorAffine"
      ? fakeQuantizePerTensorAffine(x, numberAt(attrs, "scale"), numberAt(attrs, "zeroPoint"), low, high)
      : fakeQuantizePerChannelAffine(x, tensorAt(inputs, "scales"), tensorAt(inputs, "zeroPoints"), numberAt(attrs, "axis"), low, high);
  backwardOf(y, one);
  expectTensor(y, tensorAt(expected, "output"), EXACT, "output");
  expectTensor(x.grad!, tensorAt(expected, "gradX"), EXACT, "gradX");
}

function checkLearnable(one: GoldenCase): void {
  const { op, inputs, attrs, expected } = one;
  const [x, scale, zeroPoint] = [leaf(tensorAt(inputs, "x")), leaf(tensorAt(inputs, "scale")), leaf(tensorAt(inputs, "zeroPoint"))];
  const [low, high, factor] = [numberAt(attrs, "quantMin"), numberAt(attrs, "quantMax"), numberAt(attrs, "gradFactor")];
  const y =
    op === "fakeQuantizeLearnablePerTensorAffine"
      ? fakeQuantizeLearnablePerTensorAffine(x, scale, zeroPoint, low, high, factor)
      : fakeQuantizeLearnablePerChannelAffine(x, scale, zeroPoint, numberAt(attrs, "axis"), low, high, factor);
  backwardOf(y, one);
  expectTensor(y, tensorAt(expected, "output"), EXACT, "output");
  expectTensor(x.grad!, tensorAt(expected, "gradX"), EXACT, "gradX");
  expectTensor(scale.grad!, tensorAt(expected, "gradScale"), SUMMED, "gradScale");
  expectTensor(zeroPoint.grad!, tensorAt(expected, "gradZeroPoint"), SUMMED, "gradZeroPoint");
}

function freshState(perChannel: boolean): FusedState {
  const shape = perChannel ? [0] : [];
  const size = [perChannel ? 3 : 1];
  return {
    runningMin: full(shape, Infinity),
    runningMax: full(shape, -Infinity),
    scale: full(size, 1),
    zeroPoint: zeros(size, { dtype: "int32" }),
  };
}

function checkFused({ inputs, attrs, expected }: GoldenCase): void {
  const perChannel = attrs["perRowFakeQuant"] as boolean;
  let state = freshState(perChannel);
  const [observer, fake] = [listAt(attrs, "observerOn"), listAt(attrs, "fakeQuantOn")];
  const wanted = listAt(expected, "steps") as readonly Fields[];
  (listAt(inputs, "steps") as readonly Fields[]).forEach((step, i) => {
    const x = leaf(tensorAt(step, "x"));
    const { output, ...next } = fusedMovingAvgObsFakeQuant(x, state, {
      observerOn: observer[i] === 1,
      fakeQuantOn: fake[i] === 1,
      averagingConst: numberAt(attrs, "averagingConst"),
      quantMin: numberAt(attrs, "quantMin"),
      quantMax: numberAt(attrs, "quantMax"),
      chAxis: perChannel ? numberAt(attrs, "chAxis") : null,
      symmetricQuant: attrs["symmetricQuant"] as boolean,
    });
    state = next;
    const now = wanted[i]!;
    expectTensor(output, tensorAt(now, "output"), EXACT, `step ${i}: output`);
    for (const key of ["runningMin", "runningMax", "scale", "zeroPoint"] as const) {
      expectTensor(state[key], tensorAt(now, key), EXACT, `step ${i}: ${key}`);
    }
    backwardOf(output, { inputs: step });
    expectTensor(x.grad!, tensorAt(now, "gradX"), EXACT, `step ${i}: gradX`);
  });
}

const checks: Readonly<Record<string, (one: GoldenCase) => void>> = {
  quantizePerTensor: checkNative,
  quantizePerChannel: checkNative,
  quantizePerTensorDynamic: checkNative,
  chooseQParamsPerTensor: checkQParams,
  fakeQuantizePerTensorAffine: checkFakeQuantize,
  fakeQuantizePerChannelAffine: checkFakeQuantize,
  fakeQuantizeLearnablePerTensorAffine: checkLearnable,
  fakeQuantizeLearnablePerChannelAffine: checkLearnable,
  fusedMovingAvgObsFakeQuant: checkFused,
};

describe("numerics", () => {
  const cases = loadGolden("numerics").cases.filter(({ op }) => !op.startsWith("decomposed."));
  it.each(table(cases))("%s", (_, one) => {
    const check = checks[one.op]!;
    if (one.expected["throws"]) expect(() => check(one)).toThrow(FewbitError);
    else check(one);
  });
});
