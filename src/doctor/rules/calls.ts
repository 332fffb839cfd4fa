/** How modules are called: twice, never, or made while running. */

import { FloatFunctional } from "../../nn/float-functional.ts";
import { QuantizedOutputModule } from "../../nn/quantized/base.ts";
import type { ObserverBase } from "../../quantization/observers/base.ts";
import { functionalOf } from "../analysis/trace.ts";
import { isSwappable, learnsFromData } from "../analysis/units.ts";
import { DeQuantStub } from "../../quantization/stubs.ts";
import { lastName } from "../place/edits.ts";
import { firstCall, nameOf } from "../finding.ts";
import type { Finding, Patient, Rule } from "../finding.ts";

/** Lines that call each functional's observed operations. */
function functionalCalls(patient: Patient): Map<string, string[]> {
  const calls = new Map<string, string[]>();
  const { trace } = patient.run!;
  for (const node of trace.graph.nodes) {
    if (node.kind !== "operator" || node.target === "relu") continue;
    const path = functionalOf(node, trace.model);
    if (path !== null) calls.set(path, [...(calls.get(path) ?? []), node.source.location]);
  }
  return calls;
}

const reusedModules: Rule = (patient) => {
  if (!patient.run) return [];
  return [...patient.run.calls].flatMap(([path, nodes]): Finding[] => {
    const converted = patient.dry.converted.get(path);
    if (nodes.length < 2 || !(converted instanceof QuantizedOutputModule)) return [];
    const module = patient.model.getSubmodule(path);
    return [
      {
        code: "reused-module",
        path,
        location: nodes[1]!.source.location,
        cause: `${nameOf(path, module)} is called ${nodes.length} times, and has one observer for all its outputs`,
        fix: `Give this call a ${module.constructor.name} of its own: ${lastName(path)}2 = new ${module.constructor.name}(...), this.${lastName(path)}2.forward(...)`,
      },
    ];
  });
};

const reusedFunctionals: Rule = (patient) => {
  if (!patient.run) return [];
  return [...functionalCalls(patient)]
    .filter(([, lines]) => lines.length > 1)
    .map(([path, lines]) => ({
      code: "reused-functional",
      path,
      location: lines[1]!,
      cause: `FloatFunctional "${path}" is used ${lines.length} times, and has one scale for all results`,
      fix: `Give this use a FloatFunctional of its own: ${lastName(path)}2 = new FloatFunctional(), this.${lastName(path)}2...`,
    }));
};

const strays: Rule = (patient) =>
  (patient.run?.trace.strays ?? []).map(({ className, path, location }) => {
    const functional = className === "Identity" || className === "FloatFunctional";
    const name = functional ? "FloatFunctional" : className;
    return {
      code: functional ? "functional-created-in-forward" : "module-created-in-forward",
      path,
      location,
      cause: `a ${name} is made while the forward runs: no observer stays with it, and convert cannot find it`,
      fix: `Make it once, as a property of the module: f = new ${name}(...)`,
    };
  });

/** Units with a qconfig that the example does not reach: convert will refuse them, they have no data. */
const deadBranches: Rule = (patient) => {
  const { run } = patient;
  if (!run) return [];
  return patient.units
    .filter(
      ([path, unit]) =>
        isSwappable(unit) &&
        !(unit instanceof DeQuantStub) &&
        patient.dry.converted.get(path) instanceof QuantizedOutputModule,
    )
    .filter(
      ([path]) =>
        !run.calls.has(path) &&
        !run.calls.has(`${path}.activationPostProcess`) &&
        ![...run.trace.scalarCalls.values()].includes(path),
    )
    .filter(([path, unit]) => patient.qconfigs.get(path) && !(unit instanceof FloatFunctional && unit.usedWithScalar))
    .map(([path, unit]) => ({
      code: "never-called",
      path,
      location: "",
      cause: `${nameOf(path, unit)} is not called on the example inputs, so its observer will see nothing`,
      fix: `Calibrate with inputs that reach ${path}, remove it, or set ${path}.qconfig = null`,
    }));
};

/** After calibration: observers in the model's way that still saw nothing. */
const uncalibrated: Rule = (patient) => {
  const observers = patient.model.namedModules().filter(([, module]) => learnsFromData(module));
  const blank = observers.filter(([, module]) => !(module as ObserverBase).hasObserved);
  if (blank.length === 0 || blank.length === observers.length) return [];
  return blank
    .map(([path]) => path.slice(0, Math.max(path.lastIndexOf("."), 0)))
    .filter((path) => firstCall(patient, path) !== "")
    .map((path) => ({
      code: "uncalibrated-observer",
      path,
      location: firstCall(patient, path),
      cause: `the observer of "${path}" saw no data in calibration, though the example inputs reach it`,
      fix: "Calibrate with data that takes this path through the model",
    }));
};

export const callRules: readonly Rule[] = [reusedModules, reusedFunctionals, strays, deadBranches, uncalibrated];
