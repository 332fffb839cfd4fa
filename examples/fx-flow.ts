/** FX graph mode on one page: docs/fx.md shows this file and what it prints. */

import { manualSeed, randn } from "fewbit";
import type { Tensor } from "fewbit";
import { compile } from "fewbit/compile";
import { BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ReLU } from "fewbit/nn";
import { convertFx, getDefaultQConfigMapping, getX86BackendConfig, prepareFx } from "fewbit/quantization/fx";
import { computeSqnr } from "fewbit/quantization/suite";

class Net extends Module {
  conv = new Conv2d(3, 8, 3, { padding: 1, bias: false });
  bn = new BatchNorm2d(8);
  relu = new ReLU();
  pool = new MaxPool2d(2);
  fc = new Linear(8 * 8 * 8, 4);

  forward(x: Tensor): Tensor {
    const y = this.pool.forward(this.relu.forward(this.bn.forward(this.conv.forward(x))));
    return this.fc.forward(y.flatten(1));
  }
}

manualSeed(1);
const model = new Net().eval();
const images = randn([32, 3, 16, 16]);

// 1. What is quantized how. setModuleName("fc", null) would leave fc in float, setObjectType(Linear, …) is about a type.
const mapping = getDefaultQConfigMapping("x86");
const prepared = prepareFx(model, mapping, [images], null, getX86BackendConfig());
for (const { message } of prepared.unsupported) console.log(message);

// 2. Calibrate: observers see what passes.
prepared.forward(images);

// 3. Integers instead of observers. The model and `prepared` stay as they are.
const quantized = convertFx(prepared);
const operators = quantized.graph.nodes.filter(({ kind }) => kind === "operator");
for (const { target, source } of operators) console.log(target.padEnd(18), source.path);

// 4. Run it fast.
const executable = compile(quantized);
const y = executable.runOne(images);
console.log(`the same as interpreted: ${y.data.every((v: number, i: number) => v === quantized.run(images).data[i])}`);
console.log(`SQNR above 20 dB: ${computeSqnr(model.forward(images), y) > 20}`);
executable.dispose();
