/**
 * What the stubs do at each stage: the runs behind docs/what-stubs-do.md. Every line it prints stands in that page.
 *
 *   node --conditions=fewbit-source examples/what-stubs-do.ts
 */

import { add, manualSeed, randn } from "fewbit";
import type { Tensor } from "fewbit";
import { doctor, placeStubs } from "fewbit/doctor";
import { Conv2d, Module, ReLU } from "fewbit/nn";
import {
  DeQuantStub,
  QuantStub,
  convert,
  fuseModules,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
} from "fewbit/quantization";
import { compare, explain } from "fewbit/report";
import type { ModuleReport } from "fewbit/report";

class Net extends Module {
  quant = new QuantStub();
  conv = new Conv2d(3, 4, 3);
  relu = new ReLU();
  dequant = new DeQuantStub();

  forward(x: Tensor): Tensor {
    return this.dequant.forward(this.relu.forward(this.conv.forward(this.quant.forward(x))));
  }
}

class PlainBlock extends Module {
  conv = new Conv2d(3, 3, 1);

  forward(x: Tensor): Tensor {
    return add(this.conv.forward(x), x);
  }
}

manualSeed(0);
const x = randn([4, 3, 8, 8]);

/** One module of an explanation. */
function told(model: Module, path: string): ModuleReport {
  return explain(model).modules.find((module) => module.path === path)!;
}

function tell(label: string, model: Module, path: string): void {
  const { className, output, scale, zeroPoint, note } = told(model, path);
  const watcher = output
    ? `${output.className} ${output.dtype} ${String(output.settings["quantMin"])}..${String(output.settings["quantMax"])}`
    : "no observer";
  const range = output?.range ? `, range ${output.range.map((value) => value.toFixed(3)).join(" to ")}` : "";
  const parameters = scale === null ? "" : `, scale ${scale.toFixed(5)}, zero point ${zeroPoint}`;
  console.log(`${label}: ${path} is ${className}, ${watcher}${range}${parameters}`);
  if (note) console.log(`${label}: ${note}`);
}

const fused = fuseModules(new Net().eval(), ["conv", "relu"]);
fused.qconfig = getDefaultQConfig("x86");
const prepared = prepare(fused);
tell("prepared", prepared, "quant");
prepared.forward(x);
tell("calibrated", prepared, "quant");
tell("calibrated", prepared, "dequant");
const converted = convert(prepared);
tell("converted", converted, "quant");
tell("converted", converted, "dequant");
console.log(
  `previous: ${explain(fused, [x])
    .modules.filter(({ inputs }) => inputs.length > 0)
    .map(({ path, inputs }) => `${path} gets ${inputs[0]![0]!}`)
    .join(", ")}`,
);

const block = new PlainBlock().eval();
block.qconfig = getDefaultQConfig("x86");
for (const { code, path, location } of doctor(block, [x]))
  console.log(`plain block: ${code} ${path === "" ? "(root)" : path} at ${location}`);
const { model: placed } = placeStubs(block, [x]);
placed.qconfig = getDefaultQConfig("x86");
console.log(`placed block: ${doctor(placed, [x]).length} mistakes`);

const training = fuseModulesQat(new Net().train(), ["conv", "relu"]);
training.qconfig = getDefaultQatQConfig("x86");
const qat = prepareQat(training);
qat.forward(x);
tell("QAT training", qat, "quant");
tell("QAT eval", qat.eval(), "quant");
tell("QAT converted", convert(qat), "quant");

const part = new Net().train();
part.conv.qconfig = getDefaultQatQConfig("x86");
const partly = prepareQat(part);
console.log(
  `a part: conv rounds ${told(partly, "conv").output !== null}, quant rounds ${told(partly, "quant").output !== null}`,
);

for (const backend of ["x86", "qnnpack"] as const) {
  const model = fused.clone();
  model.qconfig = getDefaultQConfig(backend);
  const calibrated = prepare(model);
  calibrated.forward(x);
  const { layers } = compare(fused, convert(calibrated), [[x]]);
  console.log(`${backend}: ${layers.map(({ path, sqnr }) => `${path} ${sqnr.toFixed(1)} dB`).join(", ")}`);
}
