/**
 * Epilogue blocks: what turns a layer's scales, zero points and bias into the numbers the kernels add
 * and multiply by. Zero points and clamps are those of the unsigned form of a byte (quint8 as it is,
 * qint8 plus 128), so one kernel serves both dtypes.
 *
 * PyTorch (fbgemm) keeps the bias in f32 and adds it, divided by sx * sw, to the converted
 * accumulator (in one rounding when there is one scale for all channels); ONNX and qnnpack add an int32 bias before converting. The orders of f32 operations are
 * those of reference.ts.
 */

import { ArgumentError } from "../../errors.ts";
import { packSum } from "./sum.ts";
import type { BytesOutput, PackedSum, SumOutput } from "./sum.ts";
import { NR, POST_BIAS, POST_BYTES, POST_MULTIPLIER, POST_WIDE_BIAS } from "./layout.ts";

/** Added to the accumulators: nothing, f32 in real units (PyTorch), or int32 in units of sx * sw (ONNX). */
export type Bias =
  | { readonly kind: "none" }
  | { readonly kind: "float"; readonly values: ArrayLike<number> }
  | { readonly kind: "int32"; readonly values: ArrayLike<number> };

/**
 * Where results go: bytes, raw accumulators, f32 of one rounding (dynamic quantization) or of two (layers between
 * integers and floats), or bytes of a sum with another tensor.
 */
export type Output =
  BytesOutput | SumOutput | { readonly kind: "i32" } | { readonly kind: "f32" } | { readonly kind: "f32Twice" };

/** The requantization of the layer itself, if its output has one. */
function requantized(output: Output): BytesOutput | null {
  if (output.kind === "bytes") return output;
  return output.kind === "sum" && output.through ? output.through.bytes : null;
}

export interface Epilogue {
  readonly inputScale: number;
  /** Of the unsigned form, 0..255. */
  readonly inputZeroPoint: number;
  /** One for all channels, or one a channel. */
  readonly weightScales: ArrayLike<number>;
  readonly bias: Bias;
  readonly output: Output;
}

/** What one channel's accumulator meets. */
export interface ChannelPost {
  readonly start: number;
  /** Added to the converted accumulator: an f32, or the exact product that a fused multiply-add would add. */
  readonly bias: number;
  readonly multiplier: number;
}

const f32 = Math.fround;

/** sx * sw in f32, as PyTorch multiplies them. */
export function accumulatorScale(inputScale: number, weightScale: number): number {
  return f32(f32(inputScale) * f32(weightScale));
}

/**
 * Constants of channel `o` whose weights sum to `weightSum`; `readZeroPoint` is the input zero point as
 * the kernel reads stored bytes (minus 128 on signed machines).
 */
export function channelPost(epilogue: Epilogue, o: number, weightSum: number, readZeroPoint: number): ChannelPost {
  const { weightScales, bias, output } = epilogue;
  const perTensor = weightScales.length === 1;
  const scale = accumulatorScale(epilogue.inputScale, weightScales[perTensor ? 0 : o] ?? NaN);
  const value = bias.kind === "none" ? 0 : (bias.values[o] ?? NaN);
  const integer = bias.kind === "int32" ? value : 0;
  const start = (integer - readZeroPoint * weightSum) | 0;
  if (output.kind === "i32") return { start, bias: 0, multiplier: 1 };
  const real = bias.kind === "float" ? f32(value) : 0;
  const bytes = requantized(output);
  if (!bytes) return { start, bias: real, multiplier: scale };
  const inUnits = perTensor ? real * f32(1 / scale) : f32(real / scale);
  return { start, bias: real === 0 ? 0 : inUnits, multiplier: f32(scale / f32(bytes.scale)) };
}

/** Sums of a layer's weights, one a channel. */
interface WeightSums {
  readonly sums: Int32Array;
  readonly magnitudes: Int32Array;
}

export interface PackedPost {
  /** [panel][start i32 x 8, bias f32 x 8, multiplier f32 x 8, bias f64 x 8]. */
  readonly bytes: Uint8Array;
  /** No input can give a result of BOUND or more in units of the output scale. */
  readonly bounded: boolean;
  /** Some channel has a bias to add to its converted accumulator. */
  readonly hasBias: boolean;
  /** Some bias is no f32 and must be added in one rounding. */
  readonly wideBias: boolean;
  /** The record of a sum, where that is the output. */
  readonly sum: PackedSum | null;
}

/** Half of what MAGIC can round, which leaves room for the rounding of the bound itself. */
const BOUND = 2 ** 21;
const LARGEST_INPUT = 255;

function checkPost(epilogue: Epilogue, channels: number): void {
  const { weightScales, bias } = epilogue;
  if (weightScales.length !== 1 && weightScales.length !== channels) {
    throw new ArgumentError(
      "packPost",
      { scales: weightScales.length, channels },
      "weight scales must be one, or one a channel",
    );
  }
  if (bias.kind !== "none" && bias.values.length !== channels) {
    throw new ArgumentError("packPost", { bias: bias.values.length, channels }, "bias must have one value a channel");
  }
}

/**
 * The epilogue blocks of all panels; `readZeroPoint` is the input zero point as the kernel reads stored bytes.
 * @throws ArgumentError when scales or bias do not match the channels.
 */
export function packPost(epilogue: Epilogue, { sums, magnitudes }: WeightSums, readZeroPoint: number): PackedPost {
  checkPost(epilogue, sums.length);
  const bytes = new Uint8Array(Math.ceil(sums.length / NR) * POST_BYTES);
  const [words, reals, doubles] = [
    new Int32Array(bytes.buffer),
    new Float32Array(bytes.buffer),
    new Float64Array(bytes.buffer),
  ];
  const { output } = epilogue;
  const isByte = requantized(output) !== null;
  let bounded = true;
  let hasBias = false;
  let wideBias = false;
  let most = 0;
  for (let o = 0; o < sums.length; o++) {
    const lane = o % NR;
    const block = ((o - lane) / NR) * POST_BYTES;
    const post = channelPost(epilogue, o, sums[o]!, readZeroPoint);
    words[block / 4 + lane] = post.start;
    reals[(block + POST_BIAS) / 4 + lane] = post.bias;
    reals[(block + POST_MULTIPLIER) / 4 + lane] = post.multiplier;
    doubles[(block + POST_WIDE_BIAS) / 8 + lane] = post.bias;
    hasBias ||= post.bias !== 0;
    wideBias ||= f32(post.bias) !== post.bias;
    const integer = epilogue.bias.kind === "int32" ? Math.abs(epilogue.bias.values[o] ?? 0) : 0;
    const largest = LARGEST_INPUT * (magnitudes[o] ?? 0) + integer;
    if (isByte) bounded &&= (largest + Math.abs(post.bias)) * post.multiplier < BOUND;
    else most = Math.max(most, largest * post.multiplier + Math.abs(post.bias));
  }
  const sum = output.kind === "sum" ? packSum(output, most) : null;
  return { bytes, bounded: bounded && (sum?.bounded ?? true), hasBias, wideBias, sum };
}

/** What the epilogue blocks of a layer with float results depend on besides its bias. */
export interface InputParameters {
  readonly sums: Int32Array;
  /** One for all channels, or one a channel. */
  readonly scales: readonly number[];
  readonly inputScale: number;
  /** As the kernel reads stored bytes. */
  readonly zeroPoint: number;
}

/** Writes start and multiplier of every channel anew at `base`, for an input that was quantized by its own range. */
export function rescalePost(
  view: DataView,
  base: number,
  { sums, scales, inputScale, zeroPoint }: InputParameters,
): void {
  for (let o = 0; o < sums.length; o++) {
    const at = base + ((o - (o % NR)) / NR) * POST_BYTES + (o % NR) * 4;
    view.setInt32(at, -(zeroPoint * sums[o]!) | 0, true);
    view.setFloat32(at + POST_MULTIPLIER, accumulatorScale(inputScale, scales[scales.length === 1 ? 0 : o]!), true);
  }
}
