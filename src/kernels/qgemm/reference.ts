/**
 * What the integer products compute, in plain loops: the specification of the kernels.
 *
 * The order of f32 operations is PyTorch's (fbgemm, compared bit for bit with torch 2.13):
 *
 *     a = f32(f32(sx) * f32(sw))                        scale of the accumulator
 *     m = f32(a / f32(so))
 *     v = f32(f32(acc) + f32(b / a))                    one weight scale a channel
 *         f32(f32(acc) + b * f32(1 / a))                one in all: a fused multiply-add, one rounding
 *     q = clamp(rne(f32(v * m)) + zo)
 *
 * where acc = sum of (qx - zx) * (qw - zw) in int32, and relu raises the lower clamp to zo. An int32
 * bias (ONNX, qnnpack) is added to acc instead, and b is 0. A dynamic layer gives
 * f32(f32(acc) * a + b) with one rounding, because fbgemm fuses the two; a layer between integers and floats
 * f32(f32(f32(acc) * a) + b), which costs the same on every machine. The onednn engine, which
 * torch picks for convolutions on machines with AVX-512 VNNI, differs by at most one step near ties.
 */

import { rint } from "../../tensor/rounding.ts";
import { dequantizeReference, quantizeReference } from "../quantize/rules.ts";
import { accumulatorScale } from "./post.ts";
import type { Epilogue } from "./post.ts";
import type { SumOutput } from "./sum.ts";

const f32 = Math.fround;

/** Sum over k of (x[k] - zx) * (w[k] - zw), in int32. */
export function referenceDot(x: ArrayLike<number>, zx: number, w: ArrayLike<number>, zw: number): number {
  let acc = 0;
  for (let k = 0; k < w.length; k++) acc = (acc + ((x[k] ?? 0) - zx) * ((w[k] ?? 0) - zw)) | 0;
  return acc;
}

/**
 * One output of channel `o` from its accumulator: a byte of the unsigned form, an int32, or an f32. `other` is the
 * unsigned form of a sum's other operand.
 */
export function referenceOutput(epilogue: Epilogue, o: number, acc: number, other: number = 0): number {
  if (epilogue.output.kind === "sum") return referenceSum(epilogue, epilogue.output, o, acc, other);
  const { weightScales, bias, output } = epilogue;
  const perTensor = weightScales.length === 1;
  const a = accumulatorScale(epilogue.inputScale, weightScales[perTensor ? 0 : o] ?? NaN);
  const value = bias.kind === "none" ? 0 : (bias.values[o] ?? NaN);
  const total = bias.kind === "int32" ? (acc + value) | 0 : acc;
  const real = bias.kind === "float" ? f32(value) : 0;
  if (output.kind === "i32") return total;
  if (output.kind === "f32") return f32(f32(total) * a + real);
  if (output.kind === "f32Twice") return f32(f32(f32(total) * a) + real);
  const biased = f32(f32(total) + (perTensor ? real * f32(1 / a) : f32(real / a)));
  const q = rint(f32(biased * f32(a / f32(output.scale)))) + output.zeroPoint;
  return Math.min(Math.max(q, output.low), output.high);
}

/** Storage of unsigned forms as they are. */
const unflipped = { flip: 0 } as const;

function referenceSum(epilogue: Epilogue, output: SumOutput, o: number, acc: number, other: number): number {
  const { through } = output;
  const layer = through
    ? dequantizeReference(referenceOutput({ ...epilogue, output: through.bytes }, o, acc), {
        ...through.dequantizer,
        ...unflipped,
      })
    : referenceOutput({ ...epilogue, output: { kind: "f32Twice" } }, o, acc);
  const sum = f32(layer + dequantizeReference(other, { ...output.other, ...unflipped }));
  return quantizeReference(sum, { ...output.output, ...unflipped });
}

export interface ReferenceGemm {
  readonly rows: number;
  readonly depth: number;
  readonly channels: number;
  /** Bytes of the unsigned form, [rows, depth]. */
  readonly x: ArrayLike<number>;
  readonly weights: ArrayLike<number>;
  readonly weightZeroPoints?: ArrayLike<number>;
  readonly epilogue: Epilogue;
  /** The other operand of a sum, bytes of the unsigned form, [rows, channels]. */
  readonly other?: ArrayLike<number>;
}

/** y[row, channel] of a linear layer. */
export function referenceGemm(problem: ReferenceGemm): number[] {
  const { rows, depth, channels, epilogue } = problem;
  const y: number[] = [];
  for (let row = 0; row < rows; row++) {
    const x = Array.from({ length: depth }, (_, k) => problem.x[row * depth + k] ?? 0);
    for (let o = 0; o < channels; o++) {
      const zeros = problem.weightZeroPoints;
      const zw = zeros === undefined ? 0 : (zeros[zeros.length === 1 ? 0 : o] ?? 0);
      const w = Array.from({ length: depth }, (_, k) => problem.weights[o * depth + k] ?? 0);
      y.push(referenceOutput(epilogue, o, referenceDot(x, epilogue.inputZeroPoint, w, zw), problem.other?.[y.length]));
    }
  }
  return y;
}
