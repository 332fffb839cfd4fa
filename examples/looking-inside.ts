/**
 * doctor, placeStubs, explain and compare on one network: the runs behind docs/looking-inside.md. Every line it prints
 * stands in that page.
 *
 *   node --conditions=fewbit-source examples/looking-inside.ts
 */

import { add, manualSeed, randn, relu } from "fewbit";
import type { Tensor } from "fewbit";
import { doctor, findingsText, placeStubs } from "fewbit/doctor";
import { AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, Module } from "fewbit/nn";
import { MinMaxObserver, QConfig, convert, getDefaultQConfig, prepare } from "fewbit/quantization";
import { getDefaultQConfigMapping } from "fewbit/quantization/fx";
import {
  compare,
  compareQConfigs,
  comparisonText,
  explain,
  explanationText,
  histogramText,
  sideBySideText,
} from "fewbit/report";

/** A convolution, a residual sum, a linear layer: written without quantization in mind. */
class Plain extends Module {
  conv = new Conv2d(3, 3, 3, { padding: 1, bias: false });
  bn = new BatchNorm2d(3);
  pool = new AdaptiveAvgPool2d(1);
  fc = new Linear(3, 4);

  forward(x: Tensor): Tensor {
    const y = add(relu(this.bn.forward(this.conv.forward(x))), x);
    return this.fc.forward(this.pool.forward(y).flatten(1));
  }
}

manualSeed(3);
const model = new Plain().eval();
model.qconfig = getDefaultQConfig("x86");
const batches = Array.from({ length: 4 }, () => [randn([4, 3, 8, 8])]);
// A few values far out, as activations often have.
for (const [x] of batches) x!.data[0] = 20;
const [example] = batches as [Tensor[]];

console.log(findingsText(doctor(model, example)));

const { model: placed, diff } = placeStubs(model, example);
console.log(diff);

function quantize(qconfig: QConfig): Module<unknown[], unknown> {
  const copy = placed.clone();
  copy.qconfig = qconfig;
  const prepared = prepare(copy);
  for (const inputs of batches) prepared.forward(...inputs);
  return convert(prepared);
}

placed.qconfig = getDefaultQConfig("x86");
console.log(explanationText(explain(placed, example)));

const x86 = compare(placed, quantize(getDefaultQConfig("x86")), batches);
console.log(comparisonText(x86));
console.log(histogramText(x86.layers.find(({ name }) => name === "quant_0")!));

const qnnpack = compare(placed, quantize(getDefaultQConfig("qnnpack")), batches);
console.log(sideBySideText(compareQConfigs(x86, qnnpack), ["x86", "qnnpack"]));

const fourBits = getDefaultQConfigMapping("x86").setModuleName(
  "fc",
  new QConfig({ activation: MinMaxObserver, weight: MinMaxObserver.withArgs({ dtype: "quint4x2" }) }),
);
console.log(findingsText(doctor(model, example, { fx: { qconfigMapping: fourBits } })));
