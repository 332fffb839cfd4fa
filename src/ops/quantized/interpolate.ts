/**
 * Resizing quantized images; the parameters stay those of the input.
 *
 * Nearest neighbours are copied. Bilinear interpolation weighs the four integers in float32 and rounds once:
 * q = rne(f32(h0 (w0 a + w1 b) + h1 (w0 c + w1 d) - z) + z). Sources: ATen/native/quantized/cpu/UpSample*.cpp.
 */

import { DtypeError } from "../../errors.ts";
import { allocate } from "../../tensor/dtype.ts";
import type { DType, TypedArray } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { tapsOf } from "../interpolate-taps.ts";
import type { Taps } from "../interpolate-taps.ts";
import type { InterpolateAttrs } from "../interpolate.ts";
import { defineOp } from "../op.ts";
import { NO_GRADIENT, requireByte } from "./common.ts";
import type { PerTensorType } from "./common.ts";
import { addThenRound, targetOf } from "./requantize.ts";

const { fround } = Math;

/** Copies along one axis: y [outer, out, inner] = x [outer, index[out], inner]. */
function pick(dtype: DType, x: TypedArray, outer: number, size: number, inner: number, { index }: Taps): TypedArray {
  const y = allocate(dtype, outer * index.length * inner);
  for (let o = 0, to = 0; o < outer; o++) {
    for (const at of index) {
      const from = (o * size + at) * inner;
      y.set(x.subarray(from, from + inner), to);
      to += inner;
    }
  }
  return y;
}

function bilinear(
  x: Tensor,
  checked: PerTensorType,
  [rows, columns]: readonly Taps[],
  size: readonly number[],
): TypedArray {
  const [height, width] = [x.shape[2]!, x.shape[3]!];
  const { dtype, qparams } = checked;
  const planes = x.shape[0]! * x.shape[1]!;
  const [h, w] = [size[0]!, size[1]!];
  const out = allocate(dtype, planes * h * w);
  const target = { ...targetOf(dtype, qparams), inverse: 1 };
  const { data } = x;
  for (let plane = 0, at = 0; plane < planes; plane++) {
    for (let i = 0; i < h; i++) {
      const top = (plane * height + rows!.index[2 * i]!) * width;
      const bottom = (plane * height + rows!.index[2 * i + 1]!) * width;
      const [h0, h1] = [rows!.weight[2 * i]!, rows!.weight[2 * i + 1]!];
      for (let j = 0; j < w; j++) {
        const [left, right] = [columns!.index[2 * j]!, columns!.index[2 * j + 1]!];
        const [w0, w1] = [columns!.weight[2 * j]!, columns!.weight[2 * j + 1]!];
        const upper = fround(fround(w0 * data[top + left]!) + fround(w1 * data[top + right]!));
        const lower = fround(fround(w0 * data[bottom + left]!) + fround(w1 * data[bottom + right]!));
        const v = fround(fround(fround(h0 * upper) + fround(h1 * lower)) - qparams.zeroPoint);
        out[at++] = addThenRound(v, target);
      }
    }
  }
  return out;
}

export const quantizedInterpolateOp = defineOp<readonly [Tensor], InterpolateAttrs>({
  name: "quantizedInterpolate",
  infer([x], { size, mode }) {
    const { dtype, qparams } = requireByte("quantizedInterpolate", x);
    if (mode !== "nearest" && mode !== "nearest-exact" && mode !== "bilinear") {
      throw new DtypeError(
        "interpolate",
        { mode, dtype },
        "quantized tensors are resized by nearest, nearest-exact or bilinear only",
      );
    }
    return [{ dtype, shape: [x.shape[0]!, x.shape[1]!, ...size], qparams }];
  },
  forward([x], { size, mode, alignCorners, scales }, [type]) {
    const taps = size.map((out, i) =>
      tapsOf(x.shape[i + 2]!, out, { mode, alignCorners, scale: scales?.[i] ?? null, round: fround }),
    );
    const same = size.every((out, i) => out === x.shape[i + 2]);
    if (mode === "bilinear" && !same) {
      return [
        new Tensor(
          x.dtype,
          type!.shape,
          bilinear(x, requireByte("quantizedInterpolate", x), taps, size),
          type!.qparams,
        ),
      ];
    }
    let values = x.data;
    const shape = [...x.shape];
    taps.forEach((axisTaps, i) => {
      if (same) return;
      values = pick(x.dtype, values, numel(shape.slice(0, i + 2)), shape[i + 2]!, numel(shape.slice(i + 3)), axisTaps);
      shape[i + 2] = size[i]!;
    });
    return [new Tensor(x.dtype, type!.shape, same ? values.slice() : values, type!.qparams)];
  },
  backward: NO_GRADIENT,
});
