/**
 * From the exact 32-bit sums of a product to its 8-bit (or float) results, for each engine.
 *
 * With a = f32(sx * sw) of the channel, b the float bias, so and zo the output parameters, all steps in float32:
 *
 *     fbgemm    q = rne((acc + b / a) * (a / so)) + zo           one scale a channel
 *               q = rne(fma(b, 1 / a, acc) * (a / so)) + zo      one scale in all
 *     onednn    q = rne((acc * a + b) * (1 / so) + zo)
 *     qnnpack   q = rne((acc + rne(b * (1 / a))) * (a / so)) + zo
 *     ONNX      q = rne((acc + n) * (a / so)) + zo             n the bias as int32 in units of a (onnxruntime's QLinearConv)
 *
 * clamped to the dtype, and from below to zo when relu is fused. Sources: fbgemm QuantUtilsAvx2.cc
 * (requantizeOutputProcessingAvx2), oneDNN's post-operations, qnnpack q8gemm with its SSE2 requantization.
 */

import { allocate } from "../../tensor/dtype.ts";
import type { QuantizedDType, TypedArray } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { QParams } from "../../tensor/qparams.ts";
import { rint } from "../../tensor/rounding.ts";
import { ROUND_BIAS, clampNanLow, inverseScale } from "../quantize/numerics.ts";
import type { OutputQParams } from "./common.ts";
import type { Rounding } from "./engines.ts";
import { targetOf } from "./requantize.ts";

const { fround } = Math;

/** Sums laid out as [outer][channels][inner]. */
export interface Sums {
  readonly values: TypedArray;
  readonly channels: number;
  readonly inner: number;
}

/** f32(sx * sw) of every channel. */
export function productScales(inputScale: number, weight: QParams, channels: number): Float32Array {
  const sx = fround(inputScale);
  return Float32Array.from(
    { length: channels },
    (_, c) => sx * fround(weight.kind === "perTensor" ? weight.scale : weight.scales[c]!),
  );
}

/** The bias of a product: real numbers, or integers in units of its scales. */
export interface ProductBias {
  readonly values: TypedArray;
  readonly isInteger: boolean;
}

export function biasOf(bias: Tensor | null): ProductBias | null {
  return bias && { values: bias.data, isInteger: bias.dtype === "int32" };
}

interface Rule {
  /** Added to the sum; doubles where the sum is a fused multiply-add. */
  readonly bias: Float32Array | Float64Array | Int32Array;
  readonly multiplier: Float32Array;
  /** The bias joins the integer sum, before that becomes a float. */
  readonly inSum: boolean;
}

function ruleOf({ rounding, scales, bias, output, perChannel }: EpilogueOptions): Rule {
  const so = fround(output.scale);
  const multiplier = scales.map((a) => a / so);
  const real = (c: number): number => bias?.values[c] ?? 0;
  if (bias?.isInteger) return { multiplier, bias: bias.values as Int32Array, inSum: true };
  if (rounding === "qnnpack") {
    const rounded = Int32Array.from(scales, (a, c) => rint(fround(real(c) * inverseScale(a))));
    return { multiplier, bias: rounded, inSum: true };
  }
  if (perChannel) return { multiplier, bias: scales.map((a, c) => real(c) / a), inSum: false };
  return { multiplier, bias: Float64Array.from(scales, (a, c) => real(c) * inverseScale(a)), inSum: false };
}

export interface EpilogueOptions {
  readonly rounding: Rounding;
  readonly dtype: QuantizedDType;
  readonly output: OutputQParams;
  readonly relu: boolean;
  /** f32(sx * sw) a channel. */
  readonly scales: Float32Array;
  /** Whether the weight has one scale a channel, rather than one in all. */
  readonly perChannel: boolean;
  readonly bias: ProductBias | null;
}

/** Calls `each(from, to, channel)` for every run of sums of one channel. */
function forEachRun(
  { values, channels, inner }: Sums,
  each: (from: number, to: number, channel: number) => void,
): void {
  for (
    let from = 0, channel = 0;
    from < values.length;
    from += inner, channel = channel + 1 === channels ? 0 : channel + 1
  ) {
    each(from, from + inner, channel);
  }
}

/** 8-bit results of the sums. */
export function requantizeSums(sums: Sums, options: EpilogueOptions): TypedArray {
  const { rounding, dtype, output, relu, scales, bias } = options;
  const out = allocate(dtype, sums.values.length);
  const { low, high, zeroPoint } = targetOf(dtype, output, relu);
  const { values } = sums;
  if (rounding === "onednn") {
    const inverse = fround(1 / output.scale);
    const floor = relu ? 0 : -Infinity;
    forEachRun(sums, (from, to, c) => {
      const [a, b] = [scales[c]!, bias?.values[c] ?? 0];
      const [n, real] = bias?.isInteger ? [b, 0] : [0, b];
      for (let i = from; i < to; i++) {
        const v = Math.max(fround(fround(fround(values[i]! + n) * a) + real), floor);
        out[i] = clampNanLow(fround(fround(v * inverse) + zeroPoint) + ROUND_BIAS - ROUND_BIAS, low, high);
      }
    });
    return out;
  }
  const rule = ruleOf(options);
  forEachRun(sums, (from, to, c) => {
    const [m, b] = [rule.multiplier[c]!, rule.bias[c]!];
    for (let i = from; i < to; i++) {
      const total = rule.inSum ? fround(values[i]! + b) : fround(fround(values[i]!) + b);
      out[i] = clampNanLow(fround(total * m) + ROUND_BIAS - ROUND_BIAS + zeroPoint, low, high);
    }
  });
  return out;
}

/** Float results of the sums, f32(f32(acc) * a + b) in one rounding: dynamic quantization. */
export function scaleSums(sums: Sums, scales: Float32Array, bias: ProductBias | null, relu: boolean): Float32Array {
  const out = new Float32Array(sums.values.length);
  const floor = relu ? 0 : -Infinity;
  forEachRun(sums, (from, to, c) => {
    const [a, b] = [scales[c]!, bias?.values[c] ?? 0];
    const [n, real] = bias?.isInteger ? [b, 0] : [0, b];
    for (let i = from; i < to; i++) out[i] = Math.max(fround(sums.values[i]! + n) * a + real, floor);
  });
  return out;
}

/** Float results of the sums in two roundings, f32(f32(f32(acc) * a) + b). */
export function realSums(sums: Sums, scales: Float32Array, bias: ProductBias | null): Float32Array {
  const out = new Float32Array(sums.values.length);
  forEachRun(sums, (from, to, c) => {
    const [a, b] = [scales[c]!, bias?.values[c] ?? 0];
    const [n, real] = bias?.isInteger ? [b, 0] : [0, b];
    for (let i = from; i < to; i++) out[i] = fround(fround(sums.values[i]! + n) * a) + real;
  });
  return out;
}
