/**
 * The two ends of a lowering rule: integers that are about to become floats, and floats that are about to become
 * integers, with parameters known in advance; and the nodes that carry them as quantized tensors in between.
 *
 *     dequantize(q) → op → quantize        becomes        as quantized(q) → integer op → integers of
 */

import { Value } from "../../graph/graph.ts";
import type { Argument, Node } from "../../graph/graph.ts";
import { literal, op, value } from "../../graph/match.ts";
import type { OpPattern, Pattern } from "../../graph/match.ts";
import type { Builder } from "../../graph/rewrite.ts";
import { quantizedClampOp } from "../../ops/quantized/activations.ts";
import { intReprOp } from "../../ops/quantize/native.ts";
import { makePerTensorQuantizedTensorOp } from "../../ops/quantize/reinterpret.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";

export const QUANTIZE = "decomposedQuantizePerTensor";
export const DEQUANTIZE = "decomposedDequantizePerTensor";

/** Parameters of a quantize or dequantize node whose scale and zero point are literals. */
export interface EdgeParameters {
  readonly dtype: DType;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly quantMin: number;
  readonly quantMax: number;
}

const isByte = ({ attrs }: Node): boolean => attrs["dtype"] === "int8" || attrs["dtype"] === "uint8";

/** A static 8-bit dequantize of `q`, which gives float32. */
export function dequantized(q: Pattern = value()): OpPattern {
  return op(DEQUANTIZE, q, literal(), literal()).where((node) => isByte(node) && node.attrs["outDType"] === "float32");
}

/** A static 8-bit quantize. */
export function quantized(x: Pattern): OpPattern {
  return op(QUANTIZE, x, literal(), literal()).where(isByte);
}

export function parametersOf({ args, attrs }: Node): EdgeParameters {
  return {
    dtype: attrs["dtype"] as DType,
    scale: args[1] as number,
    zeroPoint: args[2] as number,
    quantMin: attrs["quantMin"] as number,
    quantMax: attrs["quantMax"] as number,
  };
}

/** The dequantize node behind an argument, if it is a static 8-bit one. */
export function dequantizeBehind(arg: Argument): Node | null {
  if (!(arg instanceof Value)) return null;
  const { node } = arg;
  const literals = typeof node.args[1] === "number" && typeof node.args[2] === "number";
  return node.target === DEQUANTIZE && literals && isByte(node) && node.attrs["outDType"] === "float32" ? node : null;
}

/** Whether integers on both sides stand for the same numbers. */
export function sameParameters(a: EdgeParameters, b: EdgeParameters): boolean {
  return a.dtype === b.dtype && a.scale === b.scale && a.zeroPoint === b.zeroPoint;
}

/** The quantized tensor that integers were taken out of, if they had these parameters there. */
export function takenFrom(integers: Argument, scale: number, zeroPoint: number): Value | null {
  const source = integers instanceof Value && integers.node.target === intReprOp.name ? integers.node.args[0] : null;
  const qparams = source instanceof Value ? source.type?.qparams : undefined;
  const isSame = qparams?.kind === "perTensor" && qparams.scale === scale && qparams.zeroPoint === zeroPoint;
  return isSame ? (source as Value) : null;
}

/** What a dequantize node reads, as a quantized tensor: the one its integers are of, or a new one. */
export function asQuantized(build: Builder, dequantize: Node): Value {
  const { scale, zeroPoint } = parametersOf(dequantize);
  const [integers] = dequantize.args as [Argument];
  return (
    takenFrom(integers, scale, zeroPoint) ??
    build.call(makePerTensorQuantizedTensorOp, [integers], { scale, zeroPoint })
  );
}

/** The integers of an integer operator's result, limited to the quantize node's range where that is narrower than the dtype. */
export function integersOf(build: Builder, result: Value, quantize: Node): Value {
  const { dtype, scale, zeroPoint, quantMin, quantMax } = parametersOf(quantize);
  const { min, max } = dtypeInfo[dtype];
  const isNarrow = quantMin > min || quantMax < max;
  const limits = { min: (quantMin - zeroPoint) * scale, max: (quantMax - zeroPoint) * scale };
  const limited = isNarrow ? build.call(quantizedClampOp, [result], limits) : result;
  return build.call(intReprOp, [limited]);
}
