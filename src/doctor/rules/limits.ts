/** Limits of integer engines, from the packed weights; see analysis/accumulation.ts. */

import type { Node } from "../../graph/graph.ts";
import { QuantizedConvTransposeNd } from "../../nn/quantized/conv-transpose.ts";
import { QuantizedOutputModule } from "../../nn/quantized/base.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { activationMaxOf, excessOf, weightSums } from "../analysis/accumulation.ts";
import { firstCall, nameOf } from "../finding.ts";
import type { Finding, Patient, Rule } from "../finding.ts";

const WATCHER = ".activationPostProcess";

/** Path of the module whose observer chose the range of a call's input: values keep it through pools and reshapes. */
function rangeOwner(patient: Patient, node: Node): string | null {
  let at = node.inputs[0]?.node;
  while (at) {
    const path = at.kind === "module" ? at.target.replace(WATCHER, "") : "";
    if (path !== "" && patient.dry.converted.get(path) instanceof QuantizedOutputModule) return path;
    at = at.inputs[0]?.node;
  }
  return null;
}

function check(patient: Patient, path: string, weight: Tensor, isTransposed: boolean): Finding[] {
  const node = patient.run?.calls.get(path)?.[0];
  const owner = node ? rangeOwner(patient, node) : null;
  const observer = owner === null ? null : patient.qconfigs.get(owner)?.activation();
  const excess = excessOf(weightSums(weight, isTransposed), activationMaxOf(observer), patient.target === "avx2");
  if (!excess) return [];
  const source = owner ?? "the module before it";
  const name = nameOf(path, patient.model.getSubmodule(path));
  const fix =
    excess.code === "int32-overflow"
      ? `Split the input features of ${path} over two layers, or give ${source} activations of fewer bits`
      : `Give ${source} activations of 7 bits: ${source === owner ? `${owner}.` : ""}qconfig = getDefaultQConfig("x86"), whose observers have reduceRange`;
  return [{ path, location: firstCall(patient, path), code: excess.code, cause: `${name}: ${excess.cause}`, fix }];
}

const accumulators: Rule = (patient) =>
  [...patient.dry.converted].flatMap(([path, unit]) => {
    const { weight } = unit as { weight?: unknown };
    if (!(weight instanceof Tensor) || weight.dtype !== "qint8" || !weight.isQuantized) return [];
    return check(patient, path, weight, unit instanceof QuantizedConvTransposeNd);
  });

export const limitRules: readonly Rule[] = [accumulators];
