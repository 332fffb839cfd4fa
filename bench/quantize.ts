/**
 * Time of the quantization loops that training and calibration run at every step, on a million values.
 * Run: node bench/quantize.ts. Prints the best of many tries, in milliseconds.
 */

import { grad } from "../src/autograd/backward.ts";
import * as q from "../src/ops/quantize/index.ts";
import * as quantization from "../src/quantization/index.ts";
import { ones, randn } from "../src/tensor/create.ts";

const TRIES = 30;
const x = randn([1000, 1000]).requireGrad();
const dy = ones([1000, 1000]);
const integers = q.quantizePerTensor(x, 0.02, 3, "quint8");
const rounded = q.fakeQuantizePerTensorAffine(x, 0.02, 3, 0, 255);
const histogram = new quantization.HistogramObserver();
const range = new quantization.MinMaxObserver();
const fused = quantization.defaultFusedActFakeQuant();

const cases: Readonly<Record<string, () => unknown>> = {
  quantizePerTensor: () => q.quantizePerTensor(x, 0.02, 3, "quint8"),
  dequantize: () => q.dequantize(integers),
  "fake-quantize": () => q.fakeQuantizePerTensorAffine(x, 0.02, 3, 0, 255),
  "fake-quantize gradient": () => grad(rounded, [x], { gradient: dy }),
  "min and max": () => range.forward(x),
  histogram: () => histogram.forward(x),
  "histogram search": () => histogram.calculateQParams(),
  "fused fake-quantize": () => fused.forward(x),
};

for (const [name, run] of Object.entries(cases)) {
  let best = Infinity;
  for (let i = 0; i < TRIES; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name.padEnd(24)} ${best.toFixed(2)} ms`);
}
