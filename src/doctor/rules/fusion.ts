/** Batch normalization beside its layer, and fusions that changed the model. */

import { BatchNorm } from "../../nn/batch-norm.ts";
import { FusedModule } from "../../nn/intrinsic/fused.ts";
import { Identity } from "../../nn/linear.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { fusibleStart } from "../place/own-modules.ts";
import { isSwappable, isWatcher } from "../analysis/units.ts";
import { firstCall, nameOf } from "../finding.ts";
import type { Rule } from "../finding.ts";

const unfused: Rule = (patient) => {
  if (!patient.run) return [];
  const { graph } = patient.run.trace;
  return graph.nodes.flatMap((node) => {
    const names = fusibleStart(graph, node);
    const norm = names.find((one) => one.kind === "module" && graph.modules.get(one.target) instanceof BatchNorm);
    if (!norm || norm === node || !patient.qconfigs.get(node.target)) return [];
    const list = names.map((one) => `"${one.kind === "module" ? one.target : "relu"}"`).join(", ");
    const plain = names.some((one) => one.kind !== "module")
      ? "relu = new ReLU() and this.relu.forward(...) in place of relu(...); then "
      : "";
    const call = patient.flow === "qat" ? "fuseModulesQat" : "fuseModules";
    return [
      {
        code: "unfused-batch-norm",
        path: norm.target,
        location: norm.source.location,
        cause: `"${norm.target}" follows "${node.target}" and is not folded into it: it will be a layer of its own, that costs time and rounds once more`,
        fix: `${plain}${call}(model, [[${list}]]) before prepare`,
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

/** Path of the module that made a call's input, seen through what fusions left behind. */
function makerOf(graph: Graph, node: Node): string | null {
  const before = node.inputs[0]?.node;
  if (before?.kind !== "module") return null;
  const module = graph.modules.get(before.target)!;
  return module instanceof Identity || isWatcher(module) ? makerOf(graph, before) : before.target;
}

/** Calls of what a fusion left behind, after another layer than the one that does its work now. */
const illegalFusion: Rule = (patient) => {
  if (!patient.run) return [];
  const { graph } = patient.run.trace;
  return [...patient.run.calls].flatMap(([path, nodes]) => {
    const left = graph.modules.get(path);
    const owner = left instanceof Identity ? left.fusedInto : undefined;
    const orphan = owner === undefined ? undefined : nodes.find((node) => makerOf(graph, node) !== owner);
    if (!orphan) return [];
    const maker = makerOf(graph, orphan);
    const where = maker === null ? "elsewhere" : `after "${maker}"`;
    return [
      {
        code: "illegal-fusion",
        path,
        location: orphan.source.location,
        cause: `"${path}" was fused into "${owner}" and is an Identity now, but the forward also calls it ${where}: there its work is lost`,
        fix: `Fuse only layers that follow each other in the forward, and give every layer a module of its own: another one in place of ${path} here`,
      },
    ];
  });
};

export const fusionRules: readonly Rule[] = [unfused, fusedForTraining, illegalFusion];
