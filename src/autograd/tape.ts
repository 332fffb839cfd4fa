/**
 * The tape: how each tensor was computed, kept on the tensor itself while a gradient may be asked for.
 *
 * There is no global list; when the loss is garbage, so is its history.
 */

import type { Attrs, Op, OpInput } from "../ops/op.ts";
import { isFloat } from "../tensor/dtype.ts";
import type { GradientSource, Tensor } from "../tensor/tensor.ts";

/** One recorded operator call. */
export interface TapeNode extends GradientSource {
  readonly op: Op;
  readonly inputs: readonly OpInput[];
  readonly attrs: Attrs;
  readonly outputs: readonly Tensor[];
}

/** Records a call: its float outputs will know how they were made. */
export function record(op: Op, inputs: readonly OpInput[], attrs: Attrs, outputs: readonly Tensor[]): void {
  const node: TapeNode = { opName: op.name, op, inputs, attrs, outputs };
  for (const output of outputs) {
    if (!isFloat(output.dtype)) continue;
    output.requiresGrad = true;
    output.gradSource = node;
  }
}

/** The call that made `tensor`, if it is on the tape. */
export function tapeNodeOf(tensor: Tensor): TapeNode | null {
  return tensor.gradSource as TapeNode | null;
}
