/**
 * A weight as integers with one scale and zero point a block: what the configs of `quantizeModel` put in place of a
 * float weight. Source: torchao's Int8Tensor and IntxUnpackedToInt8Tensor.
 */

import { ArgumentError } from "../../errors.ts";
import { chooseQParamsAffine, dequantizeAffine, quantizeAffine } from "../../ops/quantize/affine.ts";
import type { MappingType, QuantRange } from "../../ops/quantize/numerics.ts";
import { noGrad } from "../../tensor/context.ts";
import { reshape } from "../../ops/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Granularity } from "./granularity.ts";

/** Integers of 1 to 8 bits; fewer than 8 are stored one to a byte. */
export type IntxDType = "int1" | "int2" | "int3" | "int4" | "int5" | "int6" | "int7" | "int8";

/** Smallest normal float32: scales of all-zero blocks. */
const SMALLEST_NORMAL = 1.1754943508222875e-38;

/** -2^(n-1) .. 2^(n-1) - 1. @throws ArgumentError for anything but int1 to int8. */
export function intxRange(dtype: string): QuantRange {
  const bits = /^int([1-8])$/.exec(dtype)?.[1];
  if (!bits) throw new ArgumentError("weightDtype", { dtype }, "must be one of int1 to int8");
  const half = 2 ** (Number(bits) - 1);
  return { quantMin: -half, quantMax: half - 1 };
}

/** Half of a range at each end, cut toward minus infinity. */
export function halved({ quantMin, quantMax }: QuantRange): QuantRange {
  return { quantMin: Math.floor(quantMin / 2), quantMax: Math.floor(quantMax / 2) };
}

export interface AffineSettings {
  readonly granularity: Granularity;
  readonly mappingType: MappingType;
  readonly range: QuantRange;
  readonly eps?: number;
}

/** Integers, scales and zero points; scale and zeroPoint have one entry a block, in the shape of the blocks. */
export interface AffineWeight {
  /** int8, the float tensor's shape. */
  readonly qdata: Tensor;
  /** float32. */
  readonly scale: Tensor;
  /** int8. */
  readonly zeroPoint: Tensor;
  readonly blockSize: readonly number[];
}

/** The scale's shape with every axis kept: blocks along each. */
function keptShape(x: Tensor, blockSize: readonly number[]): number[] {
  return x.shape.map((size, i) => size / blockSize[i]!);
}

/** Quantizes by parameters chosen from the values. @throws ShapeError when the granularity does not fit. */
export function quantizeToAffine(
  x: Tensor,
  { granularity, mappingType, range, eps = SMALLEST_NORMAL }: AffineSettings,
): AffineWeight {
  return noGrad(() => {
    const blockSize = granularity.blockSize(x.shape);
    const chosen = chooseQParamsAffine(x, mappingType, blockSize, "int8", { ...range, eps, zeroPointDType: "int8" });
    const [scale, zeroPoint] = chosen.map((parameter) => reshape(parameter, keptShape(x, blockSize)));
    return {
      qdata: quantizeAffine(x, blockSize, scale!, zeroPoint!, "int8", range),
      scale: scale!,
      zeroPoint: zeroPoint!,
      blockSize,
    };
  });
}

/** The float values the integers stand for. */
export function dequantizeWeight({ qdata, scale, zeroPoint, blockSize }: AffineWeight): Tensor {
  return dequantizeAffine(qdata, blockSize, scale, zeroPoint);
}
