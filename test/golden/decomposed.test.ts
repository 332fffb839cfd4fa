/**
 * The decomposed operators (integers in plain tensors, as exported graphs have them) against PyTorch's vectors:
 * integers, floats and chosen parameters equal, bit for bit.
 */

import { describe, it } from "vitest";
import {
  decomposedChooseQParams,
  decomposedChooseQParamsSymmetric,
} from "../../src/ops/quantize/choose.ts";
import {
  decomposedDequantizePerChannel,
  decomposedDequantizePerTensor,
  decomposedQuantizePerChannel,
  decomposedQuantizePerTensor,
} from "../../src/ops/quantize/decomposed.ts";
import {
  decomposedChooseQParamsPerTokenAsymmetric,
  decomposedDequantizePerChannelGroup,
  decomposedDequantizePerToken,
  decomposedQuantizePerChannelGroup,
  decomposedQuantizePerToken,
} from "../../src/ops/quantize/groups.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { EXACT, expectTensor, numberAt, table, tensorAt } from "./compare.ts";
import { loadGolden } from "./load.ts";
import type { Fields, GoldenCase } from "./load.ts";

const PREFIX = "decomposed.";

interface Settings {
  readonly quantMin: number;
  readonly quantMax: number;
  readonly dtype: DType;
}

function settingsOf(attrs: Fields): Settings {
  return { quantMin: numberAt(attrs, "quantMin"), quantMax: numberAt(attrs, "quantMax"), dtype: attrs["dtype"] as DType };
}

/** Integers and the floats they stand for. */
type Pair = readonly [q: Tensor, x: Tensor];

const quantizers: Readonly<Record<string, (inputs: Fields, attrs: Fields) => Pair>> = {
  quantizePerTensor(inputs, attrs) {
    const [s, z, settings] = [numberAt(attrs, "scale"), numberAt(attrs, "zeroPoint"), settingsOf(attrs)];
    const q = decomposedQuantizePerTensor(tensorAt(inputs, "x"), s, z, settings);
    return [q, decomposedDequantizePerTensor(q, s, z, settings)];
  },
  quantizePerChannel(inputs, attrs) {
    const [s, z, axis, settings] = [tensorAt(inputs, "scales"), tensorAt(inputs, "zeroPoints"), numberAt(attrs, "axis"), settingsOf(attrs)];
    const q = decomposedQuantizePerChannel(tensorAt(inputs, "x"), s, z, axis, settings);
    return [q, decomposedDequantizePerChannel(q, s, z, axis, settings)];
  },
  quantizePerChannelGroup(inputs, attrs) {
    const settings = { ...settingsOf(attrs), groupSize: numberAt(attrs, "groupSize") };
    const [s, z] = [tensorAt(inputs, "scales"), tensorAt(inputs, "zeroPoints")];
    const q = decomposedQuantizePerChannelGroup(tensorAt(inputs, "x"), s, z, settings);
    return [q, decomposedDequantizePerChannelGroup(q, s, z, settings)];
  },
  quantizePerToken(inputs, attrs) {
    const [s, z, settings] = [tensorAt(inputs, "scale"), tensorAt(inputs, "zeroPoint"), settingsOf(attrs)];
    const q = decomposedQuantizePerToken(tensorAt(inputs, "x"), s, z, settings);
    return [q, decomposedDequantizePerToken(q, s, z, settings)];
  },
};

const choosers: Readonly<Record<string, (x: Tensor, attrs: Fields) => readonly [Tensor, Tensor]>> = {
  chooseQParams: (x, attrs) => decomposedChooseQParams(x, { ...settingsOf(attrs), eps: numberAt(attrs, "eps") }),
  chooseQParamsSymmetric: (x, attrs) => decomposedChooseQParamsSymmetric(x, { ...settingsOf(attrs), eps: numberAt(attrs, "eps") }),
  chooseQParamsPerTokenAsymmetric: (x) => decomposedChooseQParamsPerTokenAsymmetric(x),
};

function check({ op, inputs, attrs, expected }: GoldenCase): void {
  const name = op.slice(PREFIX.length);
  const choose = choosers[name];
  if (choose) {
    const [scale, zeroPoint] = choose(tensorAt(inputs, "x"), attrs);
    expectTensor(scale, tensorAt(expected, "scale"), EXACT, "scale");
    expectTensor(zeroPoint, tensorAt(expected, "zeroPoint"), EXACT, "zeroPoint");
    return;
  }
  const [q, x] = quantizers[name]!(inputs, attrs);
  expectTensor(q, tensorAt(expected, "output"), EXACT, "output");
  expectTensor(x, tensorAt(expected, "dequantized"), EXACT, "dequantized");
}

describe("decomposed numerics", () => {
  const cases = loadGolden("numerics").cases.filter(({ op }) => op.startsWith(PREFIX));
  it.each(table(cases))("%s", (_, one) => check(one));
});
