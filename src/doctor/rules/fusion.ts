/** Batch normalization beside its layer, and fusions that changed the model. */

import { BatchNorm } from "../../nn/batch-norm.ts";
import { FusedModule } from "../../nn/intrinsic/fused.ts";
import { Identity } from "../../nn/linear.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import type { AnyModule } from "../../nn/module.ts";
import { fusibleStart } from "../place/own-modules.ts";
import { isSwappable } from "../analysis/units.ts";
import { firstCall, nameOf } from "../finding.ts";
import type { Rule } from "../finding.ts";

const unfused: Rule = (patient) => {
  if (!patient.run) return [];
  const { graph } = patient.run.trace;
  return graph.nodes.flatMap((node) => {
    const names = fusibleStart(graph, node);
    const norm = names.find((one) => one.kind === "module" && graph.modules.get(one.target) instanceof BatchNorm);
    if (!norm || norm === node || !patient.qconfigs.get(node.target)) return [];
    const list = names.map((one) => `"${one.kind === "module" ? one.target : "(the relu, as a module)"}"`).join(", ");
    const call = patient.flow === "qat" ? "fuseModulesQat" : "fuseModules";
    return [
      {
        code: "unfused-batch-norm",
        path: norm.target,
        location: norm.source.location,
        cause: `"${norm.target}" follows "${node.target}" and is not folded into it: both will be rounded, and PyTorch's integer speed is lost`,
        fix: `${call}(model, [[${list}]]) before prepare`,
      },
    ];
  });
};

const fusedForTraining: Rule = (patient) =>
  patient.units
    .filter(
      ([path, unit]) =>
        unit instanceof FusedModule && !isSwappable(unit) && patient.qconfigs.get(path) && patient.flow === "static",
    )
    .map(([path, unit]) => ({
      code: "fused-for-training",
      path,
      location: firstCall(patient, path),
      cause: `${nameOf(path, unit)} was fused for training; static quantization has no integer form for it`,
      fix: "Use fuseModules on the model in eval mode, or prepareQat",
    }));

/** The module that made a call's input, seen through Identities. */
function makerOf(graph: Graph, node: Node): AnyModule | undefined {
  const before = node.inputs[0]?.node;
  const module = before?.kind === "module" ? graph.modules.get(before.target) : undefined;
  return before && module instanceof Identity ? makerOf(graph, before) : module;
}

/** What is left of a ReLU that was fused into one of the layers it served, and is gone for the others. */
const sharedReluFused: Rule = (patient) => {
  if (!patient.run) return [];
  const { graph } = patient.run.trace;
  return [...patient.run.calls].flatMap(([path, nodes]) => {
    if (nodes.length < 2 || !(graph.modules.get(path) instanceof Identity) || path.endsWith("activationPostProcess"))
      return [];
    const orphan = nodes.find((node) => !(makerOf(graph, node) instanceof FusedModule));
    const fusedElsewhere = orphan && nodes.some((node) => makerOf(graph, node) instanceof FusedModule);
    if (!fusedElsewhere) return [];
    return [
      {
        code: "illegal-fusion",
        path,
        location: orphan.source.location,
        cause: `"${path}" was fused into one layer and is an Identity now, but is also called after another: there its work is lost`,
        fix: "Give every layer a module of its own before fusing",
      },
    ];
  });
};

export const fusionRules: readonly Rule[] = [unfused, fusedForTraining, sharedReluFused];
