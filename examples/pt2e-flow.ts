/** PyTorch 2 Export quantization on one page: docs/pt2e.md shows this file and what it prints. */

import { manualSeed, randn } from "fewbit";
import type { Tensor } from "fewbit";
import { compile } from "fewbit/compile";
import { capture, loadGraph, saveGraph } from "fewbit/graph";
import { Conv2d, Linear, Module, ReLU } from "fewbit/nn";
import {
  X86Quantizer,
  convertPt2e,
  correctBias,
  getRecommendedQuantizationConfig,
  preparePt2e,
} from "fewbit/quantization/pt2e";
import { computeSqnr } from "fewbit/quantization/suite";

class Net extends Module {
  conv = new Conv2d(3, 8, 3, { padding: 1 });
  relu = new ReLU();
  fc = new Linear(8 * 16 * 16, 4);

  forward(x: Tensor): Tensor {
    return this.fc.forward(this.relu.forward(this.conv.forward(x)).flatten(1));
  }
}

manualSeed(1);
const images = randn([32, 3, 16, 16]);

// 1. A graph of operators; the batch size stays open.
const float = capture(new Net().eval(), [images]);

// 2. Observers where the quantizer wants them; all of the model but fc.
const config = getRecommendedQuantizationConfig();
const prepared = preparePt2e(float, new X86Quantizer().setGlobal(config).setModuleName("fc", null));

// 3. Calibrate, convert, correct the biases.
prepared.forward(images);
const converted = correctBias(convertPt2e(prepared), float, [images]);
for (const { target, source } of converted.graph.nodes.filter(({ kind }) => kind === "operator"))
  console.log(target.padEnd(30), source.path);

// 4. One file holds program and tensors; compiled, pairs become integer operators.
const executable = compile(loadGraph(saveGraph(converted)));
const y = executable.runOne(images);
console.log(`SQNR above 30 dB: ${computeSqnr(float.run(images), y) > 30}`);
executable.dispose();
