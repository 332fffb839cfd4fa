/**
 * 8-bit floats: a scale that brings the largest magnitude to the largest value of the dtype, then rounding to its
 * grid. q = cast(clamp(x / s, -max, max)), x = q * s. Source: choose_scale_float8, quantize_affine_float8 and
 * dequantize_affine_float8, torchao/quantization/quant_primitives.py.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { roundingTo } from "../../tensor/small-floats.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { emptyOutputs } from "../loops.ts";
import { apply, defineOp, requireFloat } from "../op.ts";
import { forEachBlockRun, resolveBlock, scaleShape } from "./blocks.ts";
import { rangeOf } from "./ranges.ts";

const { fround } = Math;

export type Float8DType = "float8_e4m3fn" | "float8_e5m2";
type BlockAttrs = { readonly blockSize: readonly number[] };
type Inputs = readonly [x: Tensor, scale: Tensor];

function checkFloat8(where: string, dtype: DType): void {
  if (dtype === "float8_e4m3fn" || dtype === "float8_e5m2") return;
  throw new DtypeError(where, { dtype }, "the dtype must be float8_e4m3fn or float8_e5m2");
}

function checkScale(where: string, x: readonly number[], scale: readonly number[], { blockSize }: BlockAttrs): void {
  if (numel(scale) === numel(scaleShape(where, x, blockSize))) return;
  throw new ShapeError(where, { x, scale, blockSize }, "there must be one scale for every block");
}

export const chooseScaleFloat8Op = defineOp<readonly [Tensor], BlockAttrs & { readonly dtype: Float8DType }>({
  name: "chooseScaleFloat8",
  infer([x], { blockSize, dtype }) {
    requireFloat("chooseScaleFloat8", x);
    checkFloat8("chooseScaleFloat8", dtype);
    return [{ dtype: "float32", shape: scaleShape("chooseScaleFloat8", x.shape, blockSize) }];
  },
  forward([x], { blockSize, dtype }, types) {
    const [scale] = emptyOutputs(types) as [Tensor];
    forEachBlockRun(x.shape, blockSize, (start, end, block) => {
      const { min, max } = rangeOf(x.data, start, end);
      scale.data[block] = Math.max(scale.data[block]!, -min, max);
    });
    for (let i = 0; i < scale.numel; i++)
      scale.data[i] = Math.max(scale.data[i]!, SMALLEST_AMAX) / dtypeInfo[dtype].max;
    return [scale];
  },
  backward: "parameters chosen from values are constants to gradients",
});

/** Magnitudes are raised to this, so that a block of zeros has a scale. */
const SMALLEST_AMAX = 1e-12;

export const quantizeFloat8Op = defineOp<Inputs, BlockAttrs & { readonly dtype: Float8DType }>({
  name: "quantizeFloat8",
  infer([x, scale], attrs) {
    requireFloat("quantizeFloat8", x);
    checkFloat8("quantizeFloat8", attrs.dtype);
    checkScale("quantizeFloat8", x.shape, scale.shape, attrs);
    return [{ dtype: attrs.dtype, shape: x.shape }];
  },
  forward([x, scale], { blockSize, dtype }) {
    const out = allocate(dtype, x.numel);
    const round = roundingTo(dtype);
    const { max } = dtypeInfo[dtype];
    forEachBlockRun(x.shape, blockSize, (start, end, block) => {
      const s = scale.data[block]!;
      for (let i = start; i < end; i++) out[i] = round(Math.min(Math.max(fround(x.data[i]! / s), -max), max));
    });
    return [new Tensor(dtype, x.shape, out)];
  },
  backward: "8-bit floats have no gradient",
});

export const dequantizeFloat8Op = defineOp<Inputs, BlockAttrs>({
  name: "dequantizeFloat8",
  infer([q, scale], attrs) {
    checkFloat8("dequantizeFloat8", q.dtype);
    checkScale("dequantizeFloat8", q.shape, scale.shape, attrs);
    return [{ dtype: "float32", shape: q.shape }];
  },
  forward([q, scale], { blockSize }) {
    const out = new Float32Array(q.numel);
    forEachBlockRun(q.shape, blockSize, (start, end, block) => {
      const s = scale.data[block]!;
      for (let i = start; i < end; i++) out[i] = q.data[i]! * s;
    });
    return [new Tensor("float32", q.shape, out)];
  },
  backward: "8-bit floats have no gradient",
});

/** Float32 scales of the blocks of x. @param blockSize one entry an axis, -1 the whole axis. @throws ShapeError, DtypeError */
export function chooseScaleFloat8(x: Tensor, blockSize: readonly number[], dtype: Float8DType): Tensor {
  return apply(chooseScaleFloat8Op, [x], { blockSize: resolveBlock("chooseScaleFloat8", x.shape, blockSize), dtype });
}

/** x / scale rounded to the 8-bit float dtype, saturating. @throws ShapeError, DtypeError */
export function quantizeFloat8(x: Tensor, scale: Tensor, blockSize: readonly number[], dtype: Float8DType): Tensor {
  return apply(quantizeFloat8Op, [x, scale], { blockSize: resolveBlock("quantizeFloat8", x.shape, blockSize), dtype });
}

/** The float32 tensor of an 8-bit float one. @throws ShapeError, DtypeError */
export function dequantizeFloat8(q: Tensor, scale: Tensor, blockSize: readonly number[]): Tensor {
  return apply(dequantizeFloat8Op, [q, scale], { blockSize: resolveBlock("dequantizeFloat8", q.shape, blockSize) });
}
