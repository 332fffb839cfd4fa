/**
 * At which stage of quantization a model is, and what the two stubs do there.
 */

import { GraphModule } from "../graph/graph-module.ts";
import type { Node } from "../graph/graph.ts";
import type { AnyModule } from "../nn/module.ts";
import { DeQuantize, Quantize } from "../nn/quantized/quantize.ts";
import { QuantizedModule } from "../nn/quantized/base.ts";
import { isWatcher, learnsFromData } from "../doctor/analysis/units.ts";
import { FakeQuantizeBase } from "../quantization/fake-quantize/base.ts";
import { isQuantizing } from "../quantization/suite/node-identity.ts";
import { DeQuantStub, QuantStub } from "../quantization/stubs.ts";

export const stages = ["float", "prepared", "calibrated", "qat training", "qat eval", "converted"] as const;
export type Stage = (typeof stages)[number];

/** Whether a graph's node makes or computes with integers. */
function isInteger(node: Node): boolean {
  return isQuantizing(node) || /^(quantized[A-Z]|linearDynamic|convDynamic)/.test(node.target);
}

/** The stage a model is at, from what its modules are. */
export function stageOf(model: AnyModule): Stage {
  const modules = model.modules();
  if (model instanceof GraphModule && model.graph.nodes.some(isInteger)) return "converted";
  if (modules.some((module) => module instanceof QuantizedModule || module instanceof DeQuantize)) return "converted";
  if (modules.some((module) => module instanceof FakeQuantizeBase)) return model.training ? "qat training" : "qat eval";
  const watchers = modules.filter(isWatcher);
  if (watchers.length === 0) return "float";
  return watchers.some((watcher) => learnsFromData(watcher) && watcher.hasObserved) ? "calibrated" : "prepared";
}

type Sentences = Readonly<Record<Stage, string>>;

const quantStub: Sentences = {
  float: "Returns its input; prepare will hang an observer on it.",
  prepared:
    "Returns its input; its observer waits for the first batch to learn the range that enters the integer part.",
  calibrated:
    "Returns its input; its observer has seen the range that enters the integer part, and convert will read scale and zero point from it.",
  "qat training": "Its fake-quantize follows the range of what passes and rounds it to the integer grid, in float32.",
  "qat eval":
    "Its fake-quantize still rounds to the integer grid, and still follows the range unless its observer is switched off.",
  converted: "Is a Quantize now: turns float32 into integers with a fixed scale and zero point.",
};

const deQuantStub: Sentences = {
  float: "Returns its input; it never gets an observer, at any stage.",
  prepared: "Returns its input and has no observer: leaving the integers needs no range.",
  calibrated: "Returns its input and has no observer; convert will put a DeQuantize here.",
  "qat training": "Returns its input: fake-quantized values are float32 already.",
  "qat eval": "Returns its input: fake-quantized values are float32 already.",
  converted: "Is a DeQuantize now: turns integers into float32 by the scale and zero point they carry.",
};

/** What a stub (or what became of it) does at a stage; null for other modules. */
export function stubSentence(module: AnyModule, stage: Stage): string | null {
  if (module instanceof QuantStub || module instanceof Quantize) return quantStub[stage];
  if (module instanceof DeQuantStub || module instanceof DeQuantize) return deQuantStub[stage];
  return null;
}
