/** Training and evaluation mode, and training that would do nothing. */

import { BatchNorm } from "../../nn/batch-norm.ts";
import { ConvNd } from "../../nn/conv.ts";
import { ConvTransposeNd } from "../../nn/conv-transpose.ts";
import { Dropout } from "../../nn/dropout.ts";
import type { AnyModule } from "../../nn/module.ts";
import { isWatcher } from "../analysis/units.ts";
import { firstCall, nameOf } from "../finding.ts";
import type { Patient, Rule } from "../finding.ts";

function dependsOnMode(module: AnyModule): boolean {
  return module instanceof BatchNorm || module instanceof Dropout;
}

function isPrepared({ model }: Patient): boolean {
  return model.modules().some(isWatcher);
}

const mode: Rule = (patient) => {
  const { model, flow, qconfigs } = patient;
  if (isPrepared(patient) || ![...qconfigs.values()].some((qconfig) => qconfig)) return [];
  if (flow === "qat" && !model.training) {
    return [
      {
        code: "eval-mode",
        path: "",
        location: "",
        cause: "the qconfig is for training and the model is in eval mode: prepareQat will refuse it",
        fix: "model.train() before prepareQat",
      },
    ];
  }
  if (flow !== "static" || !model.training) return [];
  const found = model.namedModules().find(([, module]) => dependsOnMode(module) && module.training);
  if (!found) return [];
  const cause = `the model is in training mode: ${nameOf(...found)} would change what calibration sees`;
  return [
    {
      code: "train-mode",
      path: found[0],
      location: firstCall(patient, found[0]),
      cause,
      fix: "model.eval() before fuseModules and prepare",
    },
  ];
};

const mixedModes: Rule = ({ model, ...patient }) =>
  model
    .namedModules()
    .filter(([, module]) => dependsOnMode(module) && module.training && !model.training)
    .map(([path, module]) => ({
      code: "mixed-mode",
      path,
      location: firstCall({ model, ...patient }, path),
      cause: `${nameOf(path, module)} is in training mode while the model is in eval mode`,
      fix: "Call eval() on the whole model, last",
    }));

const nothingToTrain: Rule = (patient) => {
  const { flow, model, dry, units, qconfigs } = patient;
  if (flow !== "qat" || !model.training || isPrepared(patient)) return [];
  const reached = units.filter(([path]) => qconfigs.get(path));
  if (reached.length === 0 || reached.some(([path]) => "weightFakeQuant" in (dry.prepared.get(path) ?? {}))) return [];
  const cause = "no layer of the model has a form for training: prepareQat will fake-quantize no weight";
  return [
    {
      code: "nothing-to-train",
      path: "",
      location: "",
      cause,
      fix: "Fuse for training with fuseModulesQat, or use prepare",
    },
  ];
};

const noTrainingForm: Rule = (patient) => {
  const { flow, model, dry, units, qconfigs } = patient;
  if (flow !== "qat" || !model.training || isPrepared(patient)) return [];
  return units
    .filter(([path, unit]) => qconfigs.get(path) && (unit instanceof ConvNd || unit instanceof ConvTransposeNd))
    .filter(([path]) => !("weightFakeQuant" in (dry.prepared.get(path) ?? {})))
    .map(([path, unit]) => ({
      code: "no-training-form",
      path,
      location: firstCall(patient, path),
      cause: `${nameOf(path, unit)} has no form for training: its weight will be rounded only at convert`,
      fix: `Set ${path}.qconfig = null, or train with a Conv2d of height 1`,
    }));
};

export const modeRules: readonly Rule[] = [mode, mixedModes, nothingToTrain, noTrainingForm];
