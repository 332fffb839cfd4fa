/** Stubs: floats where integers are needed, and the reverse. Read from the replay's mismatches. */

import { DeQuantStub, QuantStub } from "../../quantization/stubs.ts";
import type { Node } from "../../graph/graph.ts";
import { functionalOf, isValue } from "../analysis/trace.ts";
import { FUNCTIONAL, scalarOwner } from "../analysis/replay.ts";
import type { Mismatch } from "../analysis/replay.ts";
import type { Finding, Patient, Rule } from "../finding.ts";

function unitOf(patient: Patient, node: Node): unknown {
  return node.kind === "module" ? patient.run!.trace.graph.modules.get(node.target) : null;
}

function doubled(node: Node, isQuant: boolean): Finding {
  const [name, given] = isQuant ? ["QuantStub", "integers already"] : ["DeQuantStub", "floats already"];
  return {
    code: isQuant ? "doubled-quant-stub" : "doubled-dequant-stub",
    path: node.target,
    location: node.source.location,
    cause: `${name} "${node.target}" will get ${given}`,
    fix: `Remove this call of ${node.target}`,
  };
}

function floatIntoInteger(path: string, node: Node): Finding {
  return {
    code: "missing-quant-stub",
    path,
    location: node.source.location,
    cause: `"${path}" will be an integer module after convert, and a float tensor reaches it`,
    fix: `Pass the tensor through a QuantStub of its own before ${path}, or set ${path}.qconfig = null`,
  };
}

function plainOperator(node: Node): Finding {
  const method = node.args.some((arg) => typeof arg === "number") ? `${node.target}Scalar` : node.target;
  return {
    code: "plain-operator",
    path: node.source.path,
    location: node.source.location,
    cause: `a plain ${node.target} meets integers: nothing there can hold the scale of its result`,
    fix: `Give the module a FloatFunctional, f = new FloatFunctional(), and call this.f.${method}(...)`,
  };
}

function integerIntoFloat(node: Node): Finding {
  const path = node.kind === "module" ? node.target : node.source.path;
  return {
    code: "missing-dequant-stub",
    path,
    location: node.source.location,
    cause: `${node.kind === "module" ? `"${path}"` : node.target} computes in float, and integers reach it`,
    fix: `Pass the tensor through a DeQuantStub before it (and a QuantStub after it, if integers go on), or use placeStubs`,
  };
}

function unreached(path: string, node: Node): Finding {
  return {
    code: "unreached-module",
    path,
    location: node.source.location,
    cause: `no qconfig reaches "${path}", so it stays float, and integers reach it`,
    fix: `Set the qconfig of ${path}, or of a module around it`,
  };
}

function explainMismatch(patient: Patient, { node, kind }: Mismatch): Finding | null {
  const { trace } = patient.run!;
  if (node.kind === "module") {
    const unit = unitOf(patient, node);
    if (unit instanceof QuantStub || unit instanceof DeQuantStub) return null;
    if (kind === "integer")
      return patient.qconfigs.get(node.target) === undefined ? unreached(node.target, node) : integerIntoFloat(node);
    return floatIntoInteger(node.target, node);
  }
  const functional = functionalOf(node, trace.model) ?? scalarOwner(trace, node);
  if (functional !== null) return kind === "integer" ? unreached(functional, node) : floatIntoInteger(functional, node);
  if (!FUNCTIONAL.includes(node.target)) return integerIntoFloat(node);
  // A FloatFunctional made in forward is no plain operator: rules/calls.ts names it.
  const isStray = trace.strays.some(({ location }) => location === node.source.location);
  return isStray ? null : plainOperator(node);
}

/** Stubs whose input is what they should make of it. */
const doubledStubs: Rule = (patient) => {
  if (!patient.run) return [];
  const { trace, replay } = patient.run;
  return trace.graph.nodes.flatMap((node) => {
    const unit = unitOf(patient, node);
    const [input] = node.inputs;
    if (!input || !patient.qconfigs.get(node.target)) return [];
    const isInteger = replay.types.get(input)!.isQuantized;
    if (unit instanceof QuantStub && isInteger) return [doubled(node, true)];
    // Floats that another mistake left behind are integers again once that is mended.
    return unit instanceof DeQuantStub && !isInteger && !replay.spoilt.has(input) ? [doubled(node, false)] : [];
  });
};

const mismatches: Rule = (patient) =>
  (patient.run?.replay.mismatches ?? [])
    .map((mismatch) => explainMismatch(patient, mismatch))
    .filter((finding) => finding !== null);

/** A join of integers works without a FloatFunctional, but squeezes all parts into the first one's range. */
const plainCat: Rule = (patient) => {
  if (!patient.run) return [];
  const { trace, replay } = patient.run;
  return trace.graph.nodes
    .filter((node) => node.kind === "operator" && node.target === "cat" && functionalOf(node, trace.model) === null)
    .filter((node) => node.inputs.every((value) => replay.types.get(value)!.isQuantized))
    .map(plainOperator);
};

/** Integers that leave the model. */
const integerOutputs: Rule = (patient) => {
  if (!patient.run) return [];
  const { trace, replay } = patient.run;
  const leaving = trace.graph.outputs.filter(isValue).filter((value) => replay.types.get(value)!.isQuantized);
  return leaving.map(({ node }) => {
    const path = node.kind === "module" ? node.target : node.source.path;
    const stub = patient.units.find(([, unit]) => unit instanceof DeQuantStub)?.[0];
    const silent = unitOf(patient, node) instanceof DeQuantStub;
    if (silent) return unreached(path, node);
    return {
      code: "missing-dequant-stub",
      path,
      location: node.source.location,
      cause: `the model will return the integers of ${path === "" ? node.target : `"${path}"`}`,
      fix: stub
        ? `Return this.${stub}.forward(...) of it`
        : "Add dequant = new DeQuantStub() and return this.dequant.forward(...) of it",
    };
  });
};

export const stubRules: readonly Rule[] = [doubledStubs, mismatches, plainCat, integerOutputs];
