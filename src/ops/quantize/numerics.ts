/**
 * The numeric contract of quantization: every rule by which a real number becomes an integer and back.
 *
 * PyTorch has two rounding orders, equal except at (or within one float32 step of) ties: its native operators add
 * the zero point and then round, fake-quantize and the decomposed operators round and then add. They are two named
 * functions here and never one with a switch. Everything is float32 arithmetic, rounded after each step unless a
 * formula says "one rounding". Sources: ATen/native/quantized/AffineQuantizerBase.cpp,
 * ATen/native/quantized/cpu/QuantUtils.h, torch/ao/quantization/{observer,utils,fx/_decomposed}.py.
 */

import { ArgumentError } from "../../errors.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { isSymmetricScheme } from "../../tensor/qparams.ts";
import type { QParams, QScheme } from "../../tensor/qparams.ts";
import { rint } from "../../tensor/rounding.ts";

const { fround } = Math;

/** float32 machine epsilon, 2^-23: the default smallest scale. */
export const EPS = 2 ** -23;
/** The smallest scale of configurations meant for XNNPACK. */
export const EPS_2_12 = 2 ** -12;

/**
 * `(v + ROUND_BIAS) - ROUND_BIAS` is v rounded to the nearest integer, ties to even, for |v| < 2^51: the sum has
 * no fraction bits left, so the processor's own rounding does it. Larger values come out large enough to be
 * clamped. This is what loops inline instead of calling `rint`.
 */
export const ROUND_BIAS = 1.5 * 2 ** 52;

/** The multiplier of both families: f32(1 / f32(scale)). */
export function inverseScale(scale: number): number {
  return fround(1 / fround(scale));
}

/** min(max(v, low), high) where NaN becomes `low`. */
export function clampNanLow(v: number, low: number, high: number): number {
  return v >= low ? (v <= high ? v : high) : low;
}

/** min(max(v, low), high) where NaN becomes `high`. */
export function clampNanHigh(v: number, low: number, high: number): number {
  return v <= high ? (v >= low ? v : low) : high;
}

/**
 * The native per-tensor rule: rne(f32(x * inv + z)), product and sum with ONE rounding (a fused multiply-add).
 * Not clamped. Source: quantize_val and its AVX forms, AffineQuantizerBase.cpp.
 */
export function quantizeAddThenRound(x: number, inverse: number, zeroPoint: number): number {
  return rint(fround(x * inverse + zeroPoint));
}

/** The native per-channel rule: rne(f32(f32(x * inv) + z)), two roundings. Source: quantize_val, scalar form. */
export function quantizeAddThenRoundTwice(x: number, inverse: number, zeroPoint: number): number {
  return rint(fround(fround(x * inverse) + zeroPoint));
}

/**
 * The rule of fake-quantize and of the decomposed operators: f32(rne(f32(x * inv)) + z). Not clamped.
 * Source: ATen/native/quantized/cpu/kernels/QuantizedOpKernels.cpp (fake_quantize_*), fx/_decomposed.py.
 */
export function quantizeRoundThenAdd(x: number, inverse: number, zeroPoint: number): number {
  return fround(rint(fround(x * inverse)) + zeroPoint);
}

/** The real number of an integer: f32(f32(q - z) * f32(scale)). Source: dequantize_val, AffineQuantizerBase.cpp. */
export function dequantizeValue(q: number, scale: number, zeroPoint: number): number {
  return fround(fround(q - zeroPoint) * fround(scale));
}

/**
 * Where a NaN goes in the native operators. Per tensor, the end of the dtype that the vector instructions clamp it
 * to (255, 127); per channel, the scalar code's 0; and for qint32 always -2^31, which its conversion answers for
 * anything it cannot represent.
 */
export function nativeNan(dtype: DType, kind: QParams["kind"]): number {
  const { bits, min, max } = dtypeInfo[dtype];
  if (bits === 32) return min;
  return kind === "perTensor" ? max : 0;
}

export interface QuantRange {
  readonly quantMin: number;
  readonly quantMax: number;
}

export interface RangeOptions {
  readonly dtype: DType;
  readonly reduceRange?: boolean | undefined;
  readonly quantMin?: number | null | undefined;
  readonly quantMax?: number | null | undefined;
}

const SIXTEEN_LEVELS: QuantRange = { quantMin: 0, quantMax: 15 };

function defaultRange(dtype: DType, reduceRange: boolean): QuantRange {
  const { kind, bits, min, max } = dtypeInfo[dtype];
  if (kind === "float" || bits === 4) return SIXTEEN_LEVELS;
  return reduceRange && bits === 8 ? halve({ quantMin: min, quantMax: max }) : { quantMin: min, quantMax: max };
}

function halve({ quantMin, quantMax }: QuantRange): QuantRange {
  return { quantMin: Math.floor(quantMin / 2), quantMax: Math.floor(quantMax / 2) };
}

/**
 * The integer range an observer uses. Both ends of a custom range must be given, else the dtype's own is used.
 * Source: calculate_qmin_qmax and validate_qmin_qmax, torch/ao/quantization/utils.py.
 * @throws ArgumentError when a custom range does not include 0, is empty, or is longer than the dtype.
 */
export function calculateQuantRange(where: string, options: RangeOptions): QuantRange {
  const { dtype, reduceRange = false, quantMin = null, quantMax = null } = options;
  if (quantMin === null || quantMax === null) return defaultRange(dtype, reduceRange);
  checkQuantRange(where, quantMin, quantMax);
  const { min, max } = dtypeInfo[dtype];
  const checked = dtype === "qint8" || dtype === "int8" || dtype === "qint32" || dtype === "int32";
  if (checked && quantMax - quantMin > max - min) {
    throw new ArgumentError(where, { quantMin, quantMax, dtype }, "the range must not be longer than the dtype's");
  }
  return reduceRange ? halve({ quantMin, quantMax }) : { quantMin, quantMax };
}

/** @throws ArgumentError unless quantMin <= 0 <= quantMax and quantMin < quantMax. */
export function checkQuantRange(where: string, quantMin: number, quantMax: number): void {
  if (quantMin <= 0 && quantMax >= 0 && quantMin < quantMax) return;
  throw new ArgumentError(where, { quantMin, quantMax }, "the range must include 0 and have more than one value");
}

export interface QParamsRule extends QuantRange {
  readonly qscheme: QScheme;
  readonly dtype: DType;
  readonly eps: number;
  /** True when the user gave quantMin and quantMax: moves the zero point of unsigned symmetric schemes. */
  readonly customRange: boolean;
}

export interface ScaleZeroPoint {
  readonly scale: number;
  readonly zeroPoint: number;
}

function symmetricZeroPoint({ dtype, customRange, quantMin, quantMax }: QParamsRule): number {
  if (dtype === "quint8" || dtype === "uint8") return customRange ? Math.floor((quantMin + quantMax) / 2) : 128;
  return dtype === "uint16" ? 2 ** 15 : 0;
}

/** max(a, b) where NaN wins, as in torch.max. */
function maxNan(a: number, b: number): number {
  return a > b || a !== a ? a : b;
}

/** A float as PyTorch casts it to int32: what does not fit, NaN included, becomes -2^31. */
function toInt32(v: number): number {
  return v >= -(2 ** 31) && v < 2 ** 31 ? v : -(2 ** 31);
}

/**
 * Scale and zero point of an observed range, in float32: the formula of every observer.
 * Source: UniformQuantizationObserverBase._calculate_qparams, torch/ao/quantization/observer.py.
 *
 *     symmetric     s = max(-min, max) / ((qmax - qmin) / 2)             z fixed by the dtype
 *     affine        s = (max - min) / (qmax - qmin), 0 inside the range  z = clamp(qmin - rne(min / s))
 *     float_qparams s = (max - min) / (qmax - qmin), range as it is      z = -min / s, a float
 */
export function calculateQParams(minVal: number, maxVal: number, rule: QParamsRule): ScaleZeroPoint {
  const { quantMin, quantMax, qscheme } = rule;
  const eps = fround(rule.eps);
  const levels = fround(quantMax - quantMin);
  if (qscheme === "per_channel_affine_float_qparams") {
    const spread = fround(fround(maxVal - minVal) / levels);
    const scale = spread > eps ? spread : 1;
    return { scale, zeroPoint: fround(-minVal / scale) };
  }
  const low = minVal > 0 ? 0 : minVal;
  const high = maxVal < 0 ? 0 : maxVal;
  if (isSymmetricScheme(qscheme)) {
    const largest = maxNan(-low, high);
    return { scale: maxNan(fround(largest / fround(levels / 2)), eps), zeroPoint: symmetricZeroPoint(rule) };
  }
  const scale = maxNan(fround(fround(high - low) / levels), eps);
  // The subtraction is int32 arithmetic, which wraps around.
  const zeroPoint = (quantMin - toInt32(rint(fround(low / scale)))) | 0;
  return { scale, zeroPoint: clampNanLow(zeroPoint, quantMin, quantMax) };
}

export interface ChooseRangeOptions extends QuantRange {
  /** Keep a range that straddles zero symmetric around it. */
  readonly preserveSparsity?: boolean;
  readonly reduceRange?: boolean;
}

/** Scales below this are raised to it, stretching the range. */
const SMALL_SCALE_THRESHOLD = fround(6.1e-5);

/** Widens [min, max] so that its scale is the threshold; min and max are float32 variables. */
function stretch(min: number, max: number, scale: number, levels: number): [number, number] {
  if (min === 0) return [0, fround(SMALL_SCALE_THRESHOLD * levels)];
  if (max === 0) return [fround(-SMALL_SCALE_THRESHOLD * levels), 0];
  const amplifier = fround(SMALL_SCALE_THRESHOLD / fround(scale));
  return [fround(min * amplifier), fround(max * amplifier)];
}

/**
 * Scale and zero point of a range by the C++ helper, which dynamic quantization and the fused fake-quantize use.
 * It is NOT `calculateQParams`: tiny scales are raised, and the zero point is taken from the end of the range
 * with the smaller error. Source: ChooseQuantizationParams, ATen/native/quantized/cpu/QuantUtils.h.
 * @throws ArgumentError when min > max.
 */
export function chooseQuantizationParams(minVal: number, maxVal: number, options: ChooseRangeOptions): ScaleZeroPoint {
  if (!(minVal <= maxVal)) {
    throw new ArgumentError("chooseQuantizationParams", { min: minVal, max: maxVal }, "min must not exceed max");
  }
  const reduced = (v: number): number => (options.reduceRange ? Math.trunc(v / 2) : v);
  const quantMin = reduced(options.quantMin);
  const quantMax = reduced(options.quantMax);
  const levels = quantMax - quantMin;
  let [min, max] = [minVal, maxVal];
  const straddles = options.preserveSparsity === true && min < 0 && max > 0;
  if (straddles) {
    const lowest = -(Math.trunc(levels / 2) + 1);
    const highest = Math.trunc(levels / 2);
    const widest = Math.max(Math.abs(fround(min / lowest)), Math.abs(fround(max / highest)));
    [min, max] = [fround(widest * lowest), fround(widest * highest)];
  }
  [min, max] = [Math.min(min, 0), Math.max(max, 0)];
  let scale = (max - min) / levels;
  if (fround(scale) === 0 || !Number.isFinite(fround(1 / fround(scale)))) scale = 0.1;
  if (scale < SMALL_SCALE_THRESHOLD) {
    [min, max] = stretch(min, max, scale, levels);
    scale = SMALL_SCALE_THRESHOLD;
  }
  const fromMin = quantMin - min / scale;
  const fromMax = quantMax - max / scale;
  const errorMin = Math.abs(quantMin) - Math.abs(min / scale);
  const errorMax = Math.abs(quantMax) - Math.abs(max / scale);
  let exact = errorMin < errorMax ? fromMin : fromMax;
  if (straddles) exact = (quantMin + quantMax) / 2;
  return { scale, zeroPoint: clampNanLow(rint(exact), quantMin, quantMax) };
}

/** Symmetric parameters of one token: s = max(max|x|, 1e-5) / 127, z = 0. Source: choose_qparams_per_token. */
export function chooseTokenSymmetric(largest: number): ScaleZeroPoint {
  return { scale: fround(maxNan(largest, fround(1e-5)) / 127), zeroPoint: 0 };
}

/**
 * Asymmetric int8 parameters of one token; the zero point comes from the end with the smaller error.
 * Source: _choose_qparams_per_token_asymmetric_impl, torch/ao/quantization/fx/_decomposed.py.
 */
export function chooseTokenAsymmetric(minVal: number, maxVal: number): ScaleZeroPoint {
  const [quantMin, quantMax] = [-128, 127];
  const low = Math.min(minVal, 0);
  const high = Math.max(maxVal, 0);
  const scale = maxNan(fround(fround(high - low) / 255), EPS);
  const fromLow = fround(low / scale);
  const fromHigh = fround(high / scale);
  const errors = fround(fround(quantMin + fromLow) + fround(quantMax + fromHigh));
  const exact = errors > 0 ? fround(quantMin - fromLow) : fround(quantMax - fromHigh);
  return { scale, zeroPoint: rint(clampNanLow(exact, quantMin, quantMax)) };
}

export type MappingType = "SYMMETRIC" | "SYMMETRIC_NO_CLIPPING_ERR" | "ASYMMETRIC";
export type ZeroPointDomain = "INT" | "FLOAT" | "NONE";

export interface AffineRule extends QuantRange {
  readonly mappingType: MappingType;
  readonly eps: number;
  readonly zeroPointDomain: ZeroPointDomain;
}

/** The integer that stands for the zero point in the FLOAT domain. */
export function middleOf({ quantMin, quantMax }: QuantRange): number {
  return (quantMax + quantMin + 1) / 2;
}

/**
 * Parameters of one block. Unlike observers, the symmetric zero point is the rounded-up middle of the range.
 * Source: choose_qparams_affine and _choose_qparams_affine_tinygemm, torchao/quantization/quant_primitives.py.
 */
export function chooseAffine(minVal: number, maxVal: number, rule: AffineRule): ScaleZeroPoint {
  const { quantMin, quantMax, eps } = rule;
  const levels = quantMax - quantMin;
  if (rule.zeroPointDomain === "FLOAT") {
    const scale = maxNan(fround(fround(maxVal - minVal) / levels), fround(eps));
    return { scale, zeroPoint: fround(minVal + fround(scale * middleOf(rule))) };
  }
  const low = minVal > 0 ? 0 : minVal;
  const high = maxVal < 0 ? 0 : maxVal;
  if (rule.mappingType === "ASYMMETRIC") {
    const scale = maxNan(fround(fround(high - low) / levels), fround(eps));
    return { scale, zeroPoint: clampNanLow(quantMin - rint(fround(low / scale)), quantMin, quantMax) };
  }
  const spread =
    rule.mappingType === "SYMMETRIC"
      ? fround(maxNan(-low, high) / (levels / 2))
      : maxNan(fround(low / quantMin), fround(high / quantMax));
  return { scale: maxNan(spread, fround(eps)), zeroPoint: Math.trunc(middleOf(rule)) };
}
