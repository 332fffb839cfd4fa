/** Mistakes of the graph modes: mappings that match nothing or that the backend does not run, modes, calibration. */

import { capture } from "../../../src/graph/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";
import * as q from "../../../src/quantization/entry.ts";
import { QConfigMapping, getDefaultQConfigMapping, prepareFx } from "../../../src/quantization/fx/index.ts";
import { XnnpackQuantizer, getSymmetricQuantizationConfig, preparePt2e } from "../../../src/quantization/pt2e/index.ts";
import { zeros } from "../../../src/tensor/create.ts";
import type { Case } from "./good.ts";

/** [n, 4, 6, 6] to [n, 3], written without quantization in mind. */
export class PlainNet extends nn.Module {
  conv = new nn.Conv2d(4, 4, 3, { padding: 1 });
  bn = new nn.BatchNorm2d(4);
  relu = new nn.ReLU();
  drop = new nn.Dropout(0.5);
  pool = new nn.AdaptiveAvgPool2d(1);
  fc = new nn.Linear(4, 3);

  forward(x: Tensor): Tensor {
    const y = this.relu.forward(this.bn.forward(this.conv.forward(x))); // HERE: a float16 convolution in FX
    const dropped = this.drop.forward(y);
    const pooled = this.pool.forward(dropped.add(x)).flatten(1);
    return this.fc.forward(pooled); // HERE: 4-bit weights that the backend does not run
  }
}

class Recurrent extends nn.Module {
  lstm = new nn.LSTM(6, 8, { batchFirst: true });
  forward(x: Tensor): Tensor {
    const [y] = this.lstm.forward(x); // HERE: an LSTM under a static mapping
    return y;
  }
}

const example = (): Tensor[] => [zeros([2, 4, 6, 6])];

function mapping(change: (mapping: QConfigMapping) => void): { qconfigMapping: QConfigMapping } {
  const qconfigMapping = getDefaultQConfigMapping("x86");
  change(qconfigMapping);
  return { qconfigMapping };
}

const fourBitWeights = new q.QConfig({
  activation: q.HistogramObserver.withArgs({ reduceRange: true }),
  weight: q.MinMaxObserver.withArgs({ dtype: "quint4x2" }),
});

/** Calibrated but for the observers of one layer, as when a state is loaded into another model. */
function halfCalibrated(): nn.Module<never[], unknown> {
  const prepared = prepareFx(new PlainNet().eval(), getDefaultQConfigMapping("x86"), example());
  prepared.forward(...example());
  const node = prepared.graph.nodes.find((one) => one.target === "linear")!;
  const before = node.inputs[0]!.node.target;
  prepared.graph.modules.set(before, q.HistogramObserver.withArgs({})());
  return prepared;
}

function loudGraph(): nn.Module<never[], unknown> {
  const model = new PlainNet().eval();
  for (const parameter of model.parameters()) parameter.data.fill(0.5);
  const quantizer = new XnnpackQuantizer().setGlobal(getSymmetricQuantizationConfig());
  return preparePt2e(capture(model, example()), quantizer);
}

const fcLine = "return this.fc.forward(pooled); // HERE: 4-bit weights that the backend does not run";

export const graphCases: readonly Case[] = [
  {
    name: "a misspelt path in a QConfigMapping",
    code: "qconfig-matches-nothing",
    path: "",
    model: () => new PlainNet().eval(),
    options: () => ({ fx: mapping((one) => one.setModuleName("fcc", q.getDefaultQConfig("x86"))) }),
    line: "const findings = doctor(model, inputsOf(one), one.options?.());",
  },
  {
    name: "an empty QConfigMapping",
    code: "no-qconfig",
    path: "",
    model: () => new PlainNet().eval(), // HERE: an empty QConfigMapping
    options: () => ({ fx: { qconfigMapping: new QConfigMapping() } }),
  },
  {
    name: "4-bit weights that the backend does not run",
    code: "backend-unsupported",
    path: "fc",
    model: () => new PlainNet().eval(),
    options: () => ({ fx: mapping((one) => one.setModuleName("fc", fourBitWeights)) }),
  },
  {
    name: "an LSTM under a static mapping",
    code: "backend-unsupported",
    path: "lstm",
    model: () => new Recurrent().eval(),
    options: () => ({ fx: mapping(() => undefined) }),
    shape: [2, 4, 6],
  },
  {
    name: "a float16 convolution in FX",
    code: "backend-unsupported",
    path: "conv",
    model: () => new PlainNet().eval(),
    options: () => ({ fx: mapping((one) => one.setModuleName("conv", q.float16StaticQConfig)) }),
  },
  {
    name: "a prepared graph with one fresh observer",
    code: "uncalibrated-observer",
    path: "",
    model: halfCalibrated,
    line: "const pooled = this.pool.forward(dropped.add(x)).flatten(1);",
  },
  {
    name: "dropout in training mode in a prepared graph",
    code: "train-mode",
    path: "drop",
    model: () => {
      const prepared = prepareFx(new PlainNet().eval(), getDefaultQConfigMapping("x86"), example());
      return prepared.train();
    },
    line: "const dropped = this.drop.forward(y);",
  },
  {
    name: "8-bit activations of a graph on avx2",
    code: "saturating-pair",
    path: "fc",
    model: loudGraph,
    options: () => ({ target: "avx2" }),
    line: fcLine,
  },
];
