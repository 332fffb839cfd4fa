/**
 * Sizes and options of convolutions and pools: what users may write, and the complete form operators keep.
 *
 * Options take one number for all spatial axes or one an axis; operators always store one an axis. Output
 * sizes follow PyTorch (ATen/native/ConvUtils.h).
 */

import { convOutLength } from "../engine/eager/index.ts";
import type { ConvShape } from "../engine/eager/index.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import type { Shape } from "../tensor/shape.ts";

/** One number for every spatial axis, or one an axis. */
export type PerAxis = number | readonly number[];

/** Number of spatial axes. */
export type SpatialRank = 1 | 2 | 3;

/** What a convolution stores; all lists have one entry a spatial axis. */
export type ConvAttrs = {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
};

export type ConvTransposeAttrs = ConvAttrs & { readonly outputPadding: readonly number[] };

/**
 * One entry an axis, each an integer of at least `least`.
 * @throws ArgumentError naming the option.
 */
export function perAxis(where: string, name: string, value: PerAxis, rank: number, least: number): readonly number[] {
  const list = typeof value === "number" ? new Array<number>(rank).fill(value) : [...value];
  if (list.length === 1 && rank > 1) return perAxis(where, name, list[0]!, rank, least);
  if (list.length !== rank) {
    throw new ArgumentError(where, { [name]: value }, `${name} must be one number or ${rank} numbers`);
  }
  if (list.some((v) => !Number.isInteger(v) || v < least)) {
    throw new ArgumentError(where, { [name]: value }, `${name} must be made of integers of at least ${least}`);
  }
  return list;
}

/** Size of a transposed convolution's output along one axis. */
export function convTransposeOutputSize(
  size: number,
  kernel: number,
  {
    stride,
    padding,
    dilation,
    outputPadding,
  }: Pick<ConvTransposeAttrs, "stride" | "padding" | "dilation" | "outputPadding">,
  axis: number,
): number {
  return (size - 1) * stride[axis]! - 2 * padding[axis]! + dilation[axis]! * (kernel - 1) + outputPadding[axis]! + 1;
}

/** Shape [N, outChannels, ...] of a convolution. @throws ShapeError naming both shapes. */
export function convOutputShape(where: string, x: Shape, weight: Shape, attrs: ConvAttrs): number[] {
  const { stride, padding, dilation, groups } = attrs;
  const fields = { x, weight, groups };
  const rank = stride.length;
  if (x.length !== rank + 2 || weight.length !== rank + 2) {
    throw new ShapeError(where, fields, `x and weight must have ${rank + 2} axes`);
  }
  if (!Number.isInteger(groups) || groups < 1)
    throw new ArgumentError(where, { groups }, "groups must be a positive integer");
  if (x[1] !== weight[1]! * groups)
    throw new ShapeError(where, fields, "x.shape[1] must equal weight.shape[1] * groups");
  if (weight[0]! % groups !== 0) throw new ShapeError(where, fields, "weight.shape[0] must be a multiple of groups");
  const spatial = stride.map((s, i) => convOutLength(x[i + 2]!, weight[i + 2]!, s, padding[i]!, dilation[i]!));
  if (spatial.some((size) => size < 1)) {
    throw new ShapeError(where, { ...fields, padding, dilation }, "the kernel must fit into the padded input");
  }
  return [x[0]!, weight[0]!, ...spatial];
}

/** Shape [N, outChannels, ...] of a transposed convolution of weight [inChannels, outChannels / groups, ...]. @throws ShapeError */
export function convTransposeOutputShape(where: string, x: Shape, weight: Shape, attrs: ConvTransposeAttrs): number[] {
  const { stride, groups, dilation, outputPadding } = attrs;
  const fields = { x, weight, groups };
  const rank = stride.length;
  if (x.length !== rank + 2 || weight.length !== rank + 2) {
    throw new ShapeError(where, fields, `x and weight must have ${rank + 2} axes`);
  }
  if (!Number.isInteger(groups) || groups < 1)
    throw new ArgumentError(where, { groups }, "groups must be a positive integer");
  if (x[1] !== weight[0]) throw new ShapeError(where, fields, "x.shape[1] must equal weight.shape[0]");
  if (x[1]! % groups !== 0) throw new ShapeError(where, fields, "x.shape[1] must be a multiple of groups");
  if (outputPadding.some((extra, i) => extra >= Math.max(stride[i]!, dilation[i]!))) {
    throw new ArgumentError(
      where,
      { outputPadding, stride, dilation },
      "outputPadding must be smaller than stride or dilation",
    );
  }
  const spatial = stride.map((_, i) => convTransposeOutputSize(x[i + 2]!, weight[i + 2]!, attrs, i));
  if (spatial.some((size) => size < 1))
    throw new ShapeError(where, { ...fields, spatial }, "the output must not be empty");
  return [x[0]!, weight[1]! * groups, ...spatial];
}

/** The sizes of one convolution, with those of its output: a transposed one may leave a rest that no window covers. */
export interface ConvSizes extends ConvShape {
  readonly outSize: readonly number[];
}

/** Sizes from the shapes of x [N, C, ...], weight [O, C / groups, ...] and y [N, O, ...]. */
export function convSizes(x: Shape, weight: Shape, y: Shape, attrs: ConvAttrs): ConvSizes {
  const { stride, padding, dilation, groups } = attrs;
  return {
    batch: x[0]!,
    inChannels: x[1]!,
    outChannels: y[1]!,
    groups,
    size: x.slice(2),
    kernel: weight.slice(2),
    outSize: y.slice(2),
    stride,
    padding,
    dilation,
  };
}

/** Whether `outSize` is what the other sizes give, as the kernels take for granted. */
export function isRegular({ size, kernel, stride, padding, dilation, outSize }: ConvSizes): boolean {
  return outSize.every((out, i) => out === convOutLength(size[i]!, kernel[i]!, stride[i]!, padding[i]!, dilation[i]!));
}

/** A shape whose batch entry a graph may have left open (-1), with the batch of `like`. */
export function batchOf(like: Shape, shape: Shape): Shape {
  return shape[0] === -1 ? [like[0]!, ...shape.slice(1)] : shape;
}
