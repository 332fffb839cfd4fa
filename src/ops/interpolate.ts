/**
 * Resizing the spatial axes of [N, C, ...] by nearest neighbour, linear or cubic interpolation, or area averages.
 *
 * Linear in x: the gradient operator is the transpose of the forward, and its gradient the forward again.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d } from "./avg-pool.ts";
import { batchOf } from "./conv-geometry.ts";
import { applyTaps, spreadTaps, tapsOf } from "./interpolate-taps.ts";
import type { InterpolateMode, Taps } from "./interpolate-taps.ts";
import { fromDoubles } from "./loops.ts";
import { apply, defineOp, requireFloat } from "./op.ts";
import type { Op } from "./op.ts";
import { quantizedInterpolateOp } from "./quantized/interpolate.ts";

export type InterpolateAttrs = {
  readonly size: readonly number[];
  readonly mode: InterpolateMode;
  readonly alignCorners: boolean;
  /** Scale factors the user gave, one an axis, or null when the size was given. */
  readonly scales: readonly number[] | null;
};

type One = readonly [Tensor];
type GradAttrs = InterpolateAttrs & { readonly shape: Shape };

function axisTaps(x: TensorType, shape: Shape, { size, mode, alignCorners, scales }: InterpolateAttrs): Taps[] {
  const round = x.dtype === "float64" ? (v: number) => v : Math.fround;
  return size.map((out, i) => tapsOf(shape[i + 2]!, out, { mode, alignCorners, scale: scales?.[i] ?? null, round }));
}

export const interpolateOp: Op<One, InterpolateAttrs> = defineOp<One, InterpolateAttrs>({
  name: "interpolate",
  infer([x], { size }) {
    requireFloat("interpolate", x);
    if (x.shape.length !== size.length + 2 || x.shape.slice(2).some((s) => s < 1)) {
      throw new ShapeError(
        "interpolate",
        { x: x.shape, size },
        "x must be [N, C, ...] with one size for each spatial axis",
      );
    }
    return [{ dtype: x.dtype, shape: [x.shape[0]!, x.shape[1]!, ...size] }];
  },
  forward([x], attrs, [type]) {
    const shape = [...x.shape];
    let values: Float64Array = Float64Array.from(x.data);
    axisTaps(x, x.shape, attrs).forEach((taps, i) => {
      const axis = i + 2;
      const out = attrs.size[i]!;
      values = applyTaps(values, numel(shape.slice(0, axis)), shape[axis]!, numel(shape.slice(axis + 1)), out, taps);
      shape[axis] = out;
    });
    return [fromDoubles(type!, values)];
  },
  backward: (dy, { inputs: [x], attrs }) => [apply(interpolateGradOp, [dy], { ...attrs, shape: x.shape })],
  quantized: (inputs, attrs) => apply(quantizedInterpolateOp, inputs, attrs),
});

export const interpolateGradOp: Op<One, GradAttrs> = defineOp<One, GradAttrs>({
  name: "interpolateGrad",
  infer: ([dy], { shape }) => [{ dtype: dy.dtype, shape: batchOf(dy.shape, shape) }],
  forward([dy], attrs, [type]) {
    const shape = [...dy.shape];
    let values: Float64Array = Float64Array.from(dy.data);
    axisTaps(dy, attrs.shape, attrs).forEach((taps, i) => {
      const axis = i + 2;
      const size = attrs.shape[axis]!;
      values = spreadTaps(values, numel(shape.slice(0, axis)), size, numel(shape.slice(axis + 1)), shape[axis]!, taps);
      shape[axis] = size;
    });
    return [fromDoubles(type!, values)];
  },
  backward: (g, { attrs: { size, mode, alignCorners, scales } }) => [
    apply(interpolateOp, [g], { size, mode, alignCorners, scales }),
  ],
});

export interface InterpolateOptions {
  /** Spatial size of the result; or give `scaleFactor`. */
  readonly size?: number | readonly number[] | null;
  readonly scaleFactor?: number | readonly number[] | null;
  readonly mode?: InterpolateMode | "area";
  /** Align the corner pixels' centres instead of the images' edges. Only for linear and cubic modes. */
  readonly alignCorners?: boolean | null;
  /** Compute the scale from the sizes instead of using `scaleFactor` itself. */
  readonly recomputeScaleFactor?: boolean;
}

const ranks: Readonly<Record<InterpolateMode | "area", readonly number[]>> = {
  nearest: [1, 2, 3],
  "nearest-exact": [1, 2, 3],
  linear: [1],
  bilinear: [2],
  trilinear: [3],
  bicubic: [2],
  area: [1, 2, 3],
};

function spread(value: number | readonly number[], rank: number): readonly number[] {
  return typeof value === "number" ? new Array<number>(rank).fill(value) : value;
}

function resolveSize(
  x: Tensor,
  options: InterpolateOptions,
): { size: readonly number[]; scales: readonly number[] | null } {
  const rank = x.rank - 2;
  const { size = null, scaleFactor = null, recomputeScaleFactor = false } = options;
  if ((size === null) === (scaleFactor === null)) {
    throw new ArgumentError("interpolate", { size, scaleFactor }, "exactly one of size and scaleFactor must be given");
  }
  const given = spread(size ?? scaleFactor!, rank);
  if (given.length !== rank || given.some((v) => !(v > 0) || (size !== null && !Number.isInteger(v)))) {
    throw new ArgumentError(
      "interpolate",
      { x: x.shape, size, scaleFactor },
      "there must be one positive value for each spatial axis",
    );
  }
  if (size !== null) return { size: given, scales: null };
  const out = given.map((scale, i) => Math.floor(x.shape[i + 2]! * scale));
  if (out.some((v) => v < 1))
    throw new ShapeError("interpolate", { x: x.shape, scaleFactor }, "the result must not be empty");
  return { size: out, scales: recomputeScaleFactor ? null : given };
}

const areaPools = { 1: adaptiveAvgPool1d, 2: adaptiveAvgPool2d, 3: adaptiveAvgPool3d };

/**
 * x [N, C, ...] resized to `size` (or by `scaleFactor`): "nearest", "nearest-exact", "area" for one to three
 * spatial axes, "linear" for one, "bilinear" and "bicubic" for two, "trilinear" for three.
 * @throws ShapeError, DtypeError, ArgumentError
 */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  const { mode = "nearest", alignCorners = null } = options;
  const rank = x.rank - 2;
  if (!Object.hasOwn(ranks, mode) || !ranks[mode].includes(rank)) {
    throw new ArgumentError("interpolate", { mode, x: x.shape }, "the mode must exist for this number of spatial axes");
  }
  if (alignCorners !== null && (mode === "area" || mode.startsWith("nearest"))) {
    throw new ArgumentError("interpolate", { mode, alignCorners }, "alignCorners is for linear and cubic modes only");
  }
  const { size, scales } = resolveSize(x, options);
  if (mode === "area") return areaPools[rank as 1 | 2 | 3](x, size);
  return apply(interpolateOp, [x], { size, mode, alignCorners: alignCorners ?? false, scales });
}
