/**
 * Plain integers between integer operators, as files in QOperator form have them: what moves or chooses them is done on the
 * quantized tensors they come from, which the engine holds, and the way there and back falls away.
 *
 *     quantized of (integers of q)                     q, where the parameters are the same
 *     move (integers of q)                             integers of (move q)
 *     integers of (choose (quantized of (integers of q)))   integers of (choose q), whatever the parameters: order is kept
 */

import { op, value } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import { intReprOp } from "../../ops/quantize/native.ts";
import { makePerTensorQuantizedTensorOp } from "../../ops/quantize/reinterpret.ts";
import type { PerTensorQParams } from "../../tensor/qparams.ts";
import { takenFrom } from "./edges.ts";

const source = value();
const integers = op(intReprOp.name, source);
const again = op(makePerTensorQuantizedTensorOp.name, integers);

const sameTensor = rule("as-quantized-of-integers", again, (match) => {
  const { scale, zeroPoint } = match.root.attrs;
  return takenFrom(match.arg(integers), scale as number, zeroPoint as number);
});

const moved = op(["reshape", "permute", "slice", "pad"], integers);

const moveQuantized = rule("move-quantized", moved, (match, build) => {
  const { target, attrs } = match.root;
  const { zeroPoint } = match.value(source).type!.qparams as PerTensorQParams;
  // Padding with the integer that stands for 0 is padding with 0.
  const pads = target === "pad" && attrs["mode"] === "constant";
  if (pads && attrs["value"] !== zeroPoint) return null;
  const result = build.call(target, [match.arg(source)], pads ? { ...attrs, value: 0 } : attrs);
  return build.call(intReprOp, [result]);
});

const chosen = op(["maxPool1d", "maxPool2d", "maxPool3d"], again);

const chooseQuantized = rule("choose-quantized", op(intReprOp.name, chosen), (match, build) => {
  const { target, attrs } = match.node(chosen);
  return build.call(intReprOp, [build.call(target, [match.arg(source)], attrs)]);
});

export const plainIntegerRules: readonly Rule[] = [sameTensor, moveQuantized, chooseQuantized];
