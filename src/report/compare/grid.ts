/** The grid a layer's output is rounded to: ends and step, from whatever form the integers have. */

import type { AnyModule } from "../../nn/module.ts";
import { FakeQuantizeBase } from "../../quantization/fake-quantize/base.ts";
import { observedOf } from "../../quantization/pt2e/convert.ts";
import { dequantize } from "../../ops/quantize/native.ts";
import { dtypeInfo, isQuantized } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";

export interface Grid {
  /** Smallest and largest value it has. */
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export function gridOf(scale: number, zeroPoint: number, quantMin: number, quantMax: number): Grid {
  return { min: (quantMin - zeroPoint) * scale, max: (quantMax - zeroPoint) * scale, step: scale };
}

/** Of a quantized tensor; null for floats, and for one scale a channel. */
export function gridOfTensor({ dtype, qparams }: Tensor): Grid | null {
  if (!isQuantized(dtype) || qparams?.kind !== "perTensor") return null;
  const { min, max } = dtypeInfo[dtype];
  return gridOf(qparams.scale, qparams.zeroPoint, min, max);
}

/** Of a fake-quantize that rounds; null for anything else, and where it has one scale a channel. */
export function gridOfModule(module: AnyModule | undefined): Grid | null {
  if (!(module instanceof FakeQuantizeBase) || module.fakeQuantEnabled.item() !== 1) return null;
  const { quantMin, quantMax } = observedOf(module)!;
  const { scale, zeroPoint } = module.calculateQParams();
  return scale.numel === 1 ? gridOf(scale.item(), zeroPoint.item(), quantMin, quantMax) : null;
}

/** The numbers a tensor stands for. */
export function real(x: Tensor): Tensor {
  return x.isQuantized ? dequantize(x) : x;
}

/** The same of every tensor in nested arrays. */
export function realTree(value: unknown): unknown {
  if (value instanceof Tensor) return real(value);
  return Array.isArray(value) ? value.map(realTree) : value;
}
