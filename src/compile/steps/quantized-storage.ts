/**
 * Parameter records of the byte kernels, from a value's type.
 */

import type { Dequantizer, Quantizer, RoundingRule } from "../../kernels/quantize/rules.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { Place } from "../plan.ts";
import type { TensorType } from "../../tensor/tensor.ts";

function offsetOf({ dtype }: TensorType): 0 | 128 {
  return dtypeInfo[dtype].min === 0 ? 0 : 128;
}

function parametersOf({ qparams }: TensorType): { scale: number; zeroPoint: number } {
  return qparams?.kind === "perTensor" ? qparams : { scale: NaN, zeroPoint: NaN };
}

/** How bytes of this type become real numbers; `fused` as PyTorch's vector loops do it. */
export function dequantizerOf(type: TensorType, flip: 0 | 0x80, fused: boolean): Dequantizer {
  return { ...parametersOf(type), offset: offsetOf(type), flip, fused };
}

interface QuantizerOptions {
  readonly relu?: boolean;
  /** The clamp NaN goes to. */
  readonly nan?: "low" | "high";
}

/** How real numbers become bytes of this type; `relu` raises the lower clamp to the zero point. */
export function quantizerOf(
  type: TensorType,
  flip: 0 | 0x80,
  rule: RoundingRule,
  { relu = false, nan = "low" }: QuantizerOptions = {},
): Quantizer {
  const { scale, zeroPoint } = parametersOf(type);
  const { min, max } = dtypeInfo[type.dtype];
  return { rule, scale, zeroPoint, low: relu ? zeroPoint : min, high: max, nan, offset: offsetOf(type), flip };
}

/** A record in the plan's constants. */
export function constantRecord(
  { engine, constant }: Place,
  bytes: number,
  write: (view: DataView, at: number) => void,
): number {
  const at = constant(bytes);
  write(new DataView(engine.memory.wasm.buffer), at);
  return at;
}
