/**
 * Limits of integer engines, from the packed weights: pairs of products that do not fit 16 bits, sums that do not fit 32.
 */

import type { AnyModule } from "../../nn/module.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { firstCall, nameOf } from "../finding.ts";
import type { Finding, Patient, Rule } from "../finding.ts";

const INT16_MAX = 32767;
const INT32_MAX = 2 ** 31 - 1;

interface Extremes {
  /** Largest |w0| + |w1| of weights whose products are added in 16 bits. */
  readonly pair: number;
  /** Largest sum of |w| of an output channel. */
  readonly sum: number;
}

function extremesOf(weight: Tensor): Extremes {
  const rows = weight.shape[0]!;
  const length = weight.numel / rows;
  let [pair, most] = [0, 0];
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = 0; i < length; i++) {
      const w = Math.abs(weight.data[row * length + i]!);
      sum += w;
      if (i % 2 === 1) pair = Math.max(pair, w + Math.abs(weight.data[row * length + i - 1]!));
    }
    most = Math.max(most, sum);
  }
  return { pair, sum: most };
}

/** Largest integer an activation can be, its zero point apart. */
function activationSpan(patient: Patient, path: string): number {
  const watcher = patient.qconfigs.get(path)?.activation() as { quantMin?: number; quantMax?: number } | undefined;
  return (watcher?.quantMax ?? 255) - (watcher?.quantMin ?? 0);
}

function check(patient: Patient, path: string, unit: AnyModule, weight: Tensor): Finding[] {
  const span = activationSpan(patient, path);
  const { pair, sum } = extremesOf(weight);
  const common = { path, location: firstCall(patient, path) };
  const name = nameOf(path, unit);
  if (sum * span > INT32_MAX) {
    const cause = `${name}: ${span} times the ${sum} of an output channel's weights exceeds ${INT32_MAX}`;
    return [
      {
        ...common,
        code: "int32-overflow",
        cause,
        fix: "Split the layer's input features, or reduce the activation's range",
      },
    ];
  }
  if (patient.target !== "avx2" || pair * span <= INT16_MAX) return [];
  const cause = `${name}: two products can reach ${span} x ${pair} = ${span * pair}, more than the ${INT16_MAX} of 16-bit sums on avx2`;
  return [
    {
      ...common,
      code: "saturating-pair",
      cause,
      fix: 'Use getDefaultQConfig("x86"), whose activations have 7 bits (reduceRange)',
    },
  ];
}

const accumulators: Rule = (patient) =>
  [...patient.dry.converted].flatMap(([path, unit]) => {
    const { weight } = unit as { weight?: unknown };
    if (!(weight instanceof Tensor) || weight.dtype !== "qint8" || !weight.isQuantized) return [];
    return check(patient, path, patient.model.getSubmodule(path), weight);
  });

export const limitRules: readonly Rule[] = [accumulators];
