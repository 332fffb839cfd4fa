/**
 * Stubs for models written without them. Source: add_quant_dequant, torch/ao/quantization/quantize.py.
 */

import type { AnyModule } from "../../nn/module.ts";
import { QuantWrapper } from "../stubs.ts";

/**
 * Wraps every leaf that has a qconfig between two stubs, in place; a leaf root gives a new wrapper.
 * Call propagateQConfig first, so that leaves know their qconfig.
 */
export function addQuantDequant(model: AnyModule): AnyModule {
  const children = model.namedChildren();
  if (children.length === 0 && model.qconfig) return new QuantWrapper(model);
  for (const [name, child] of children) {
    const wrapped = addQuantDequant(child);
    if (wrapped !== child) model.setChild(name, wrapped);
  }
  return model;
}
