/** Weights side by side. Source: compare_weights, torch/ao/ns/_numeric_suite.py. */

import type { StateDict } from "../../nn/state-dict.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { findMatch } from "./matching.ts";

export interface FloatAndQuantized<T> {
  readonly float: T;
  readonly quantized: T;
}

/** Our packed pairs and recurrent weights have an entry per tensor; PyTorch has one per pair. */
const PACKED = /\._packed_params\.0$/;
const RECURRENT = /^(.*)\._all_weight_values\.(\d+)\.param\.weight_hh$/;

/** The key as PyTorch has it, and the float key of the same weight; null for what is no weight. */
function match(floatKeys: readonly string[], key: string): { readonly key: string; readonly float: string } | null {
  const plain = key.replace(PACKED, "._packed_params");
  const float = findMatch(floatKeys, plain, "weight") ?? findMatch(floatKeys, plain, "_packed_params");
  if (float !== null) return { key: plain, float };
  const [, module, layer] = RECURRENT.exec(key) ?? [];
  const hidden = `${module}.weight_hh_l${layer}`;
  if (module === undefined || !floatKeys.includes(hidden)) return null;
  return { key: key.slice(0, -".weight_hh".length), float: hidden };
}

/**
 * Pairs the weights of a float and a quantized model, by the quantized model's keys. Of a recurrent layer the hidden
 * weights are compared, as in PyTorch.
 */
export function compareWeights(
  floatDict: StateDict,
  quantizedDict: StateDict,
): Record<string, FloatAndQuantized<Tensor>> {
  const floatKeys = [...floatDict.keys()];
  const out: Record<string, FloatAndQuantized<Tensor>> = {};
  for (const [own, quantized] of quantizedDict) {
    const found = match(floatKeys, own);
    if (found) out[found.key] = { float: floatDict.get(found.float)!, quantized };
  }
  return out;
}
