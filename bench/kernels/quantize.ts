/** Eager quantization loops that training and calibration run at every step, on a million values, as works to time. */

import { grad } from "../../src/autograd/backward.ts";
import { fakeQuantizePerTensorAffine, quantizePerTensor } from "../../src/ops/quantize/index.ts";
import { dequantize } from "../../src/ops/quantize/native.ts";
import { HistogramObserver, MinMaxObserver, defaultFusedActFakeQuant } from "../../src/quantization/index.ts";
import { ones, randn } from "../../src/tensor/create.ts";
import type { KernelWork } from "./work.ts";

const SHAPE = [1000, 1000];
const BYTES = 4e6;

/** These run on the default engine; columns of other engines would show the same. */
function loop(name: string, prepare: () => () => unknown): KernelWork {
  return {
    section: "eager quantization, a million values",
    name,
    amount: BYTES,
    unit: "GB/s",
    make() {
      const run = prepare();
      return { call: () => void run(), free: () => undefined };
    },
  };
}

const x = () => randn(SHAPE).requireGrad();

export const quantizeLoops: readonly KernelWork[] = [
  loop("quantizePerTensor", () => {
    const values = x();
    return () => quantizePerTensor(values, 0.02, 3, "quint8");
  }),
  loop("dequantize", () => {
    const integers = quantizePerTensor(x(), 0.02, 3, "quint8");
    return () => dequantize(integers);
  }),
  loop("fake-quantize", () => {
    const values = x();
    return () => fakeQuantizePerTensorAffine(values, 0.02, 3, 0, 255);
  }),
  loop("fake-quantize gradient", () => {
    const values = x();
    const gradient = ones(SHAPE);
    const rounded = fakeQuantizePerTensorAffine(values, 0.02, 3, 0, 255);
    return () => grad(rounded, [values], { gradient });
  }),
  loop("min and max", () => {
    const [values, observer] = [x(), new MinMaxObserver()];
    return () => observer.forward(values);
  }),
  loop("histogram", () => {
    const [values, observer] = [x(), new HistogramObserver()];
    return () => observer.forward(values);
  }),
  loop("histogram search", () => {
    const observer = new HistogramObserver();
    observer.forward(x());
    return () => observer.calculateQParams();
  }),
  loop("fused fake-quantize", () => {
    const [values, fused] = [x(), defaultFusedActFakeQuant()];
    return () => fused.forward(values);
  }),
];
