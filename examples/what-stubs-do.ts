/**
 * What the stubs do at each stage: the runs behind docs/what-stubs-do.md. Every line it prints stands in that page.
 *
 *   node --conditions=fewbit-source examples/what-stubs-do.ts
 */

import { FewbitError, add, manualSeed, mul, randn, tensor } from "fewbit";
import type { Tensor } from "fewbit";
import { doctor, editsSummary, placeStubs } from "fewbit/doctor";
import { Conv2d, Module, ReLU } from "fewbit/nn";
import {
  DeQuantStub,
  FakeQuantizeBase,
  QuantStub,
  convert,
  fuseModules,
  fuseModulesQat,
  getDefaultQConfig,
  getDefaultQatQConfig,
  prepare,
  prepareQat,
} from "fewbit/quantization";
import { convertFx, getDefaultQConfigMapping, prepareFx } from "fewbit/quantization/fx";
import { compare, compareQConfigs, explain } from "fewbit/report";
import type { ModuleReport } from "fewbit/report";
import { ResNet20 } from "./models/resnet20-plain.ts";

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

type Layer = Module<[Tensor], Tensor>;

manualSeed(0);
const batch = randn([4, 3, 8, 8]);
const probe = tensor([0.73, -1.5, 100]);

/** What is hooked onto a module: an observer or a fake-quantize, with what it has learnt. */
function watcherText({ output }: ModuleReport): string {
  if (!output) return "nothing is hooked onto it";
  const range = output.range ? `saw ${output.range.map((value) => value.toFixed(3)).join(" to ")}` : "saw nothing yet";
  const scale = output.scale ? `, so scale ${output.scale[0]!.toFixed(5)}, zero point ${output.zeroPoint![0]!}` : "";
  return `${output.className}, ${range}${scale}`;
}

/** One line on a module at a stage, and one on what it makes of three values. */
function tell(stage: string, model: Module, path: "quant" | "dequant"): void {
  const row = explain(model).modules.find((one) => one.path === path)!;
  const own = row.scale === null ? watcherText(row) : `scale ${row.scale.toFixed(5)}, zero point ${row.zeroPoint!}`;
  console.log(`${stage}: ${path} is a ${row.className}; ${own}`);
}

function pass(stage: string, model: Module, x: Tensor): Tensor {
  const y = (model.getSubmodule("quant") as Layer).forward(x);
  console.log(`${stage}: quant turns [${list(x)}] into ${y.dtype} [${list(y)}]`);
  return y;
}

function list(x: Tensor): string {
  return [...x.data].map((value) => (Number.isInteger(value) ? value : value.toFixed(4))).join(", ");
}

const fused = fuseModules(new Net().eval(), ["conv", "relu"]);
fused.qconfig = getDefaultQConfig("x86");

// Float and prepared.
tell("float", fused, "quant");
pass("float", fused, probe);
const prepared = prepare(fused);
tell("prepared", prepared, "quant");
tell("prepared", prepared, "dequant");

// Calibration: the range grows, the values do not change.
for (let i = 1; i <= 2; i++) {
  prepared.forward(mul(batch, i));
  tell(`after batch ${i}`, prepared, "quant");
}

// Converted.
const converted = convert(prepared);
tell("converted", converted, "quant");
tell("converted", converted, "dequant");
const integers = pass("converted", converted, probe);
console.log(
  `converted: dequant turns them into float32 [${list((converted.getSubmodule("dequant") as Layer).forward(integers))}]`,
);

// "Previous": what a layer gets is what the forward gives it.
for (const { path, inputs } of explain(fused, [batch]).modules)
  if (inputs.length > 0) console.log(`previous: ${path} gets ${inputs[0]![0]!}`);
const conv = converted.getSubmodule("conv");
console.log(
  `previous: numbers that the converted conv stores are ${["scale", "zeroPoint"].filter((key) => key in conv).join(", ")}, both of its output`,
);

// A plain residual block.
const block = new PlainBlock().eval();
block.qconfig = getDefaultQConfig("x86");
const blockPrepared = prepare(block);
blockPrepared.forward(batch);
try {
  convert(blockPrepared).forward(batch);
} catch (error) {
  if (error instanceof FewbitError) console.log(`plain block: ${error.where}: ${error.rule}`);
}
for (const { code, path, location, fix } of doctor(block, [batch]))
  console.log(`plain block: ${code}, ${path === "" ? "the model" : path} at ${location}: ${fix}`);
const { model: placed, diff } = placeStubs(block, [batch]);
console.log(diff);
placed.qconfig = getDefaultQConfig("x86");
console.log(`placed block: ${doctor(placed, [batch]).length} mistakes`);

// Training with fake quantization.
const training = fuseModulesQat(new Net().train(), ["conv", "relu"]);
training.qconfig = getDefaultQatQConfig("x86");
const qat = prepareQat(training);
qat.forward(batch);
tell("QAT training", qat, "quant");
qat.eval();
tell("QAT eval", qat, "quant");
qat.forward(mul(batch, 2));
tell("QAT eval, one batch later", qat, "quant");
for (const module of qat.modules()) if (module instanceof FakeQuantizeBase) module.disableObserver();
qat.forward(mul(batch, 4));
tell("QAT eval, observers off, one more batch", qat, "quant");
pass("QAT eval", qat, probe);
const trained = convert(qat);
tell("QAT converted", trained, "quant");
console.log(
  `QAT converted: dequant(quant(x)) is [${list((trained.getSubmodule("dequant") as Layer).forward((trained.getSubmodule("quant") as Layer).forward(probe)))}]`,
);

// Only a part.
class Two extends Module {
  first = new Conv2d(3, 4, 3);
  quant = new QuantStub();
  second = new Conv2d(4, 4, 3);
  dequant = new DeQuantStub();

  forward(x: Tensor): Tensor {
    return this.dequant.forward(this.second.forward(this.quant.forward(this.first.forward(x))));
  }
}
const part = new Two().train();
for (const path of ["quant", "second", "dequant"]) part.getSubmodule(path).qconfig = getDefaultQatQConfig("x86");
const partly = prepareQat(part);
partly.forward(batch);
for (const { path, output, weight } of explain(partly).modules)
  if (path !== "")
    console.log(
      `a part: ${path} rounds ${[weight && "its weight", output && "its output"].filter(Boolean).join(" and ") || "nothing"}`,
    );
console.log(
  `a part, converted: ${explain(convert(partly.eval()), [batch])
    .modules.slice(1)
    .map(({ path, outputs }) => `${path} gives ${outputs[0]![0]!.split("[")[0]!}`)
    .join(", ")}`,
);

// Two qconfigs.
const [x86, qnnpack] = (["x86", "qnnpack"] as const).map((backend) => {
  const model = fused.clone();
  model.qconfig = getDefaultQConfig(backend);
  const calibrated = prepare(model);
  calibrated.forward(batch);
  return compare(fused, convert(calibrated), [[batch]]);
});
for (const { name, sqnr } of compareQConfigs(x86!, qnnpack!))
  console.log(`two qconfigs: ${name}, x86 ${sqnr[0].toFixed(1)} dB, qnnpack ${sqnr[1].toFixed(1)} dB`);
for (const [name, { layers }] of [
  ["x86", x86!],
  ["qnnpack", qnnpack!],
] as const) {
  const made = layers.map((layer) => `${layer.name} ${layer.errorMadeHere!.toExponential(1)}`);
  console.log(`two qconfigs: squared error made in each layer with ${name}: ${made.join(", ")}`);
}

// Eager mode against graph mode, on a whole network.
const network = new ResNet20().eval();
const image = randn([1, 3, 32, 32]);
const { edits } = placeStubs(network, [image]);
console.log(editsSummary(edits).replace(/^/gm, "ResNet-20 in eager mode: "));
const byGraph = prepareFx(network, getDefaultQConfigMapping("x86"), [image]);
byGraph.forward(image);
const targets = convertFx(byGraph).graph.nodes.map(({ target }) => target);
console.log(
  `ResNet-20 in FX: no edit, ${targets.filter((target) => target === "quantizedConv").length} integer convolutions and ${targets.filter((target) => target === "quantizedAdd").length} integer sums`,
);
