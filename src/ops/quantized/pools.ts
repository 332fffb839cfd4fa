/**
 * Average pooling and mean of quantized tensors; the parameters stay those of the input. (Maximum pooling compares
 * integers, which the operators of max-pool.ts do for any dtype.)
 *
 * Every average is a sum of integers times a float32 factor, but each kernel rounds in its own way:
 *
 *     avgPool1d, 2d         rne(f32(f32(f32(sum (q - z)) * f32(1 / n)) + z))
 *     avgPool3d             rne(f32(sum (q - z)) * f32(1 / n)) + z for whole groups of 16 channels, else as 2d
 *     adaptiveAvgPool       rne(f32(sum q) * f32(f32(f32(1 / kd) / kh) / kw))
 *                           (three-dimensional to a single value: as mean of the last axes)
 *     mean, last axes       rne(f32(f32(sum q) / n))
 *     mean, other axes      quantizePerTensor of the real mean, summed in float32 in PyTorch's order (cascade-sum.ts)
 *
 * Sources: ATen/native/quantized/cpu/{AveragePool2d,AdaptiveAveragePooling,ReduceOps}.cpp and
 * _qavg_pool_nhwc_kernel of kernels/QuantizedOpKernels.cpp.
 */

import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { rint } from "../../tensor/rounding.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import type { AdaptiveAttrs, AvgPoolAttrs } from "../avg-pool.ts";
import { cascadeSum } from "../cascade-sum.ts";
import { defineOp } from "../op.ts";
import type { Op } from "../op.ts";
import {
  adaptiveCounts,
  adaptiveWindows,
  boxes,
  forEachInBox,
  poolCounts,
  pooledShape,
  poolWindows,
} from "../pool-windows.ts";
import type { AxisWindows, Box, PoolAttrs } from "../pool-windows.ts";
import { clampNanLow } from "../quantize/numerics.ts";
import { accumulate, reducedCount, reducedShape } from "../reduce.ts";
import type { ReduceAttrs } from "../reduce.ts";
import { NO_GRADIENT, requireByte } from "./common.ts";
import { addThenRound, requantizeInteger, targetOf } from "./requantize.ts";

const { fround } = Math;

type One = readonly [Tensor];

/** Sum of the integers of every window of every plane, handed to `store` with its index and box. */
function forEachWindow(
  x: Tensor,
  windows: readonly AxisWindows[],
  store: (at: number, sum: number, box: Box, plane: number) => void,
): void {
  const spatial = x.shape.slice(2);
  const size = numel(spatial);
  const list = boxes(windows);
  const { data } = x;
  for (let plane = 0, at = 0; plane < x.shape[0]! * x.shape[1]!; plane++) {
    for (const box of list) {
      let sum = 0;
      forEachInBox(box, spatial, (offset) => (sum += data[plane * size + offset]!));
      store(at++, sum, box, plane);
    }
  }
}

/** Type rule of operators that keep dtype and parameters. */
function keeping(name: string, x: TensorType, shape: readonly number[]): TensorType {
  const { dtype, qparams } = requireByte(name, x);
  return { dtype, shape, qparams };
}

/** Channels that one vector of the three-dimensional kernel holds. */
const CHANNEL_LANES = 16;

function averagePool(rank: 1 | 2 | 3): Op<One, AvgPoolAttrs> {
  const name = `quantizedAvgPool${rank}d`;
  const undilated = (attrs: AvgPoolAttrs): PoolAttrs => ({ ...attrs, dilation: attrs.stride.map(() => 1) });
  const windowsOf = (x: TensorType, attrs: AvgPoolAttrs): AxisWindows[] => poolWindows(name, x.shape, undilated(attrs));
  return defineOp<One, AvgPoolAttrs>({
    name,
    infer: ([x], attrs) => [keeping(name, x, pooledShape(x.shape, poolCounts(name, x.shape, undilated(attrs))))],
    forward([x], attrs, [type]) {
      const { dtype, qparams } = requireByte(name, x);
      const out = allocate(dtype, numel(type!.shape));
      const target = targetOf(dtype, qparams);
      const { zeroPoint } = qparams;
      const channels = x.shape[1]!;
      forEachWindow(x, windowsOf(x, attrs), (at, sum, box, plane) => {
        const factor = fround(1 / (attrs.divisorOverride ?? (attrs.countIncludePad ? box.padded : box.inside)));
        const total = fround(sum - box.inside * zeroPoint);
        const vector = rank === 3 && plane % channels < channels - (channels % CHANNEL_LANES);
        out[at] = vector
          ? requantizeInteger(total, factor, target)
          : clampNanLow(rint(fround(fround(total * factor) + zeroPoint)), target.low, target.high);
      });
      return [new Tensor(dtype, type!.shape, out, qparams)];
    },
    backward: NO_GRADIENT,
  });
}

/** By number of spatial axes. */
export const quantizedAvgPools = { 1: averagePool(1), 2: averagePool(2), 3: averagePool(3) };

function length([start, end]: readonly [number, number, number]): number {
  return end - start;
}

function adaptivePool(rank: 1 | 2 | 3): Op<One, AdaptiveAttrs> {
  const name = `quantizedAdaptiveAvgPool${rank}d`;
  return defineOp<One, AdaptiveAttrs>({
    name,
    infer: ([x], { outputSize }) => [keeping(name, x, pooledShape(x.shape, adaptiveCounts(name, x.shape, outputSize)))],
    forward([x], { outputSize }, [type]) {
      const out = allocate(x.dtype, numel(type!.shape));
      const isMean = rank === 3 && outputSize.every((size) => size === 1);
      forEachWindow(x, adaptiveWindows(name, x.shape, outputSize), (at, sum, { d, h, w }) => {
        const factor = fround(fround(fround(1 / length(d)) / length(h)) / length(w));
        const mean = fround(fround(sum) / (length(d) * length(h) * length(w)));
        out[at] = rint(isMean ? mean : fround(fround(sum) * factor));
      });
      return [new Tensor(x.dtype, type!.shape, out, type!.qparams)];
    },
    backward: NO_GRADIENT,
  });
}

/** By number of spatial axes. */
export const quantizedAdaptiveAvgPools = { 1: adaptivePool(1), 2: adaptivePool(2), 3: adaptivePool(3) };

/** Whether the axes are the last ones, in one piece. */
function areInnermost(dim: readonly number[], rank: number): boolean {
  const sorted = [...dim].sort((a, b) => b - a);
  return sorted.every((axis, i) => axis === rank - 1 - i);
}

export const quantizedMeanOp = defineOp<One, ReduceAttrs>({
  name: "quantizedMean",
  infer: ([x], attrs) => [keeping("quantizedMean", x, reducedShape(x.shape, attrs))],
  forward([x], { dim }, [type]) {
    const { dtype, qparams } = requireByte("quantizedMean", x);
    const count = reducedCount(x.shape, dim);
    const out = allocate(dtype, numel(type!.shape));
    if (areInnermost(dim, x.shape.length)) {
      const { min, max } = dtypeInfo[dtype];
      const sums = accumulate(Float64Array.from(x.data), x.shape, dim);
      sums.forEach((sum, i) => (out[i] = clampNanLow(rint(fround(fround(sum) / count)), min, max)));
    } else {
      const target = targetOf(dtype, qparams);
      const scale = fround(qparams.scale);
      const real = Float32Array.from(x.data, (q) => (q - qparams.zeroPoint) * scale);
      cascadeSum(real, x.shape, dim).forEach((sum, i) => (out[i] = addThenRound(fround(sum / count), target)));
    }
    return [new Tensor(dtype, type!.shape, out, qparams)];
  },
  backward: NO_GRADIENT,
});
