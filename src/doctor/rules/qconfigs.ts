/** QConfigs: none, unused, or such that convert refuses the module. */

import { FakeQuantizeBase } from "../../quantization/fake-quantize/base.ts";
import { getDefaultQConfigPropagationList } from "../../quantization/eager/mappings.ts";
import { nearNames } from "../../quantization/eager/names.ts";
import { classOf } from "../../quantization/eager/types.ts";
import { DeQuantStub, QuantStub } from "../../quantization/stubs.ts";
import { QuantizedModule } from "../../nn/quantized/base.ts";
import { FloatFunctional } from "../../nn/float-functional.ts";
import { isPerChannelScheme } from "../../tensor/qparams.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import { isSwappable, isUnit, isWatcher } from "../analysis/units.ts";
import { firstCall, nameOf } from "../finding.ts";
import type { Finding, Patient, Rule } from "../finding.ts";

const none: Rule = ({ qconfigs, model }) => {
  const isConverted = model.modules().some((module) => module instanceof QuantizedModule);
  if (isConverted || [...qconfigs.values()].some((qconfig) => qconfig)) return [];
  const path = "";
  const cause = `no module of ${nameOf(path, model)} has a qconfig: prepare will observe nothing and convert change nothing`;
  return [{ code: "no-qconfig", path, location: "", cause, fix: "model.qconfig = getDefaultQConfig()" }];
};

/** Stubs and functionals have no purpose but quantization. */
const idleStubs: Rule = (patient) => {
  if (![...patient.qconfigs.values()].some((qconfig) => qconfig)) return [];
  return patient.units
    .filter(
      ([path, unit]) =>
        patient.qconfigs.get(path) === undefined &&
        [QuantStub, DeQuantStub, FloatFunctional].some((kind) => unit instanceof kind),
    )
    .map(([path, unit]) => ({
      code: "unreached-module",
      path,
      location: firstCall(patient, path),
      cause: `no qconfig reaches ${nameOf(path, unit)}: it will stay what it is`,
      fix: `Set the qconfig of ${path}, or of a module around it`,
    }));
};

const useless: Rule = ({ model, ...patient }) =>
  model
    .namedModules()
    .filter(([path, module]) => path !== "" && module.qconfig && !model.modules().some(isWatcher))
    .filter(([, module]) => !module.modules().some((one) => isUnit(one) && isSwappable(one)))
    .map(([path, module]) => ({
      code: "unused-qconfig",
      path,
      location: firstCall({ model, ...patient }, path),
      cause: `${nameOf(path, module)} has a qconfig, and nothing in it has an integer form`,
      fix: `Remove ${path}.qconfig, or set it on the layer that was meant`,
    }));

const unknownKeys: Rule = ({ model, qconfigDictKeys, calledAt }) => {
  const known = model.namedModules().map(([path]) => path);
  return qconfigDictKeys
    .filter((key) => !known.includes(key))
    .map((key) => {
      const near = nearNames(key, known);
      return {
        code: "qconfig-matches-nothing",
        path: key,
        location: calledAt,
        cause: `the qconfig for "${key}" matches no module`,
        fix: near.length > 0 ? `Did you mean ${near.join(", ")}?` : "Use a dotted path of namedModules()",
      };
    });
};

interface Watcher {
  readonly qscheme?: QScheme;
  readonly dtype?: string;
  calculateQParams?(): unknown;
}

/** Whether an observer has parameters to give, seen data or not. */
function computesScale(watcher: Watcher | undefined): boolean {
  try {
    return watcher?.calculateQParams?.() !== undefined;
  } catch {
    return false;
  }
}

function refusal(patient: Patient, path: string, error: Error): Finding {
  const qconfig = patient.qconfigs.get(path);
  const unit = patient.model.getSubmodule(path);
  const weight = qconfig?.weight() as Watcher | undefined;
  const activation = qconfig?.activation() as Watcher | undefined;
  const common = {
    path,
    location: firstCall(patient, path),
    cause: `convert will refuse ${nameOf(path, unit)}: ${error.message}`,
  };
  if (unit.constructor.name.startsWith("Embedding")) {
    return { ...common, code: "embedding-qconfig", fix: `${path}.qconfig = floatQParamsWeightOnlyQConfig` };
  }
  if (activation?.qscheme && isPerChannelScheme(activation.qscheme)) {
    return {
      ...common,
      code: "per-channel-activation",
      fix: "Use an activation observer with one scale for the tensor",
    };
  }
  if (!computesScale(activation)) {
    return {
      ...common,
      code: "activation-without-scale",
      fix: "Use an activation observer that computes a scale, such as HistogramObserver",
    };
  }
  if (weight?.dtype !== "qint8")
    return { ...common, code: "weight-dtype", fix: "Use a weight observer of dtype qint8" };
  if (weight.qscheme && isPerChannelScheme(weight.qscheme)) {
    return {
      ...common,
      code: "per-channel-unsupported",
      fix: `Give ${path} a qconfig whose weight observer is per tensor (defaultWeightObserver)`,
    };
  }
  return { ...common, code: "cannot-convert", fix: `Set ${path}.qconfig = null, or replace the layer` };
}

const refused: Rule = (patient) => [...patient.dry.refused].map(([path, error]) => refusal(patient, path, error));

/** Recurrent layers with a dynamic form only: prepare hangs an observer on them all the same, which cannot take their output. */
const dynamicOnly: Rule = (patient) => {
  const observed = getDefaultQConfigPropagationList();
  return [...(patient.run?.calls ?? [])]
    .filter(([path, [node]]) => patient.qconfigs.get(path) && node!.outputs.length > 1)
    .map(([path]) => [path, patient.model.getSubmodule(path)] as const)
    .filter(([path, unit]) => observed.has(classOf(unit)) && !isSwappable(unit) && patient.dry.converted.has(path))
    .map(([path, unit]) => ({
      code: "dynamic-only",
      path,
      location: firstCall(patient, path),
      cause: `${nameOf(path, unit)} has no static integer form, only a dynamic one: convert leaves it float, and the observer that prepare hangs on it cannot take its several outputs`,
      fix: `Set ${path}.qconfig = null, pass integers through a DeQuantStub before it and its output through a QuantStub after it; quantizeDynamic can convert ${path} by itself`,
    }));
};

const observersInTraining: Rule = (patient) => {
  if (patient.flow !== "qat") return [];
  const wrong = [...patient.qconfigs].find(
    ([, qconfig]) => qconfig && !(qconfig.activation() instanceof FakeQuantizeBase),
  );
  if (!wrong) return [];
  return [
    {
      code: "observers-in-training",
      path: wrong[0],
      location: "",
      cause: "the qconfig makes observers, which round nothing: the model would train as if it were float",
      fix: "model.qconfig = getDefaultQatQConfig()",
    },
  ];
};

export const qconfigRules: readonly Rule[] = [
  none,
  idleStubs,
  useless,
  unknownKeys,
  refused,
  dynamicOnly,
  observersInTraining,
];
