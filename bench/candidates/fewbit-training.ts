/**
 * Training steps of fewbit: forward, loss, gradients and SGD with momentum on the network of the bench, in float or with fake
 * quantization at every activation and weight (QAT); compiled, or eager.
 */

import { backward } from "../../src/autograd/backward.ts";
import { compileTrainingStep } from "../../src/compile/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Module } from "../../src/nn/module.ts";
import { crossEntropy } from "../../src/ops/index.ts";
import { SGD } from "../../src/optim/index.ts";
import { fuseModulesQat, getDefaultQatQConfig, prepareQat } from "../../src/quantization/entry.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Prepared } from "../lib/candidate.ts";
import type { Precision } from "../lib/case.ts";
import { eagerFusions, eagerNetwork, imageTensor } from "../models/networks.ts";
import { TRAINING, networkLabels } from "../models/inputs.ts";

function trainee(precision: Precision): Module<[Tensor], Tensor> {
  const model = eagerNetwork().train();
  if (precision === "f32") return model;
  const fused = fuseModulesQat(model, eagerFusions);
  fused.qconfig = getDefaultQatQConfig("x86");
  return prepareQat(fused.train());
}

/** A step whose result is the loss; `output` gives the losses of the first steps. */
export function trainingStep(precision: Precision, batch: number, engine: Engine | null): Prepared {
  const model = trainee(precision);
  const optimizer = new SGD(model.parameters(), TRAINING.optimizer);
  const images = imageTensor(batch, "train");
  const labels = new Tensor("int64", [batch], Float64Array.from(networkLabels(batch)));
  const compiled = engine && compileTrainingStep(model, { loss: crossEntropy, optimizer, engine });
  const eager = (): number => {
    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(images), labels);
    backward(loss);
    optimizer.step();
    return loss.item();
  };
  const step = compiled ? () => compiled.run(images, labels).loss : eager;
  const losses = Float32Array.from({ length: TRAINING.comparedSteps }, step);
  return { call: () => void step(), output: () => losses, dispose: () => compiled?.dispose() };
}
