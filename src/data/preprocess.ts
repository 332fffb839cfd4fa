/**
 * From stored values to what a model takes: pixels scaled and normalised, channels put where the model has them.
 *
 * y = (x * scale + offset - mean) / std, every step rounded to float32, as programs that train in float32 do it.
 * Eight-bit data goes through a table of 256 results a channel.
 */

import { DataError } from "../errors.ts";
import { cast } from "../ops/unary.ts";
import { allocate, isFloat } from "../tensor/dtype.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { InputSpec } from "./source.ts";
import { typeText } from "./source.ts";

export type ImageLayout = "nchw" | "nhwc";

export interface Preprocess {
  /** What values are multiplied with; default 1/255 for 8-bit data that a float model reads, else 1. */
  readonly scale?: number;
  /** What pixels 0..255 become, instead of `scale`: [0, 1], [-1, 1], [0, 255]. */
  readonly range?: readonly [low: number, high: number];
  /** Subtracted from scaled values: one number, or one a channel. */
  readonly mean?: readonly number[];
  /** What they are divided by then. */
  readonly std?: readonly number[];
  /** Where the model has its channels; by default read from the shape of its input. */
  readonly layout?: ImageLayout;
  /** Where stored arrays have them; by default whichever fits the model. */
  readonly dataLayout?: ImageLayout;
  /** Order of channels the model takes: data is RGB. */
  readonly channels?: "rgb" | "bgr";
}

const fround = Math.fround;

/** The layout of a model's image input: channels are few and known. */
export function layoutOf({ shape }: InputSpec, wished?: ImageLayout): ImageLayout {
  if (wished) return wished;
  const few = (size: number | null | undefined): boolean => size === 1 || size === 3 || size === 4;
  return shape?.length === 4 && few(shape[3]) && !few(shape[1]) ? "nhwc" : "nchw";
}

/** Sizes [channels, height, width] of a batch of images. */
function sizesOf(shape: readonly (number | null)[], layout: ImageLayout): [number | null, number | null, number | null] {
  const [, a, b, c] = shape as (number | null)[];
  return layout === "nchw" ? [a!, b!, c!] : [c!, a!, b!];
}

function agree(given: readonly (number | null)[], wanted: readonly (number | null)[]): boolean {
  return given.every((size, i) => wanted[i] === null || wanted[i] === size);
}

/** A picture stack [n, height, width] is one of gray images. */
function withChannelAxis(x: Tensor, spec: InputSpec): Tensor {
  if (x.rank !== 3 || spec.shape?.length !== 4) return x;
  return new Tensor(x.dtype, [...x.shape, 1], x.data);
}

/** One number a channel. @throws DataError when there is a number for some channels only. */
function perChannel(what: string, values: readonly number[] | undefined, otherwise: number, channels: number) {
  const given = values ?? [otherwise];
  if (given.length !== 1 && given.length !== channels)
    throw new DataError(
      "preprocessing",
      { [what]: given, channels },
      `${what} must be one number, or one for each channel`,
    );
  return Array.from({ length: channels }, (_, c) => fround(given[given.length === 1 ? 0 : c]!));
}

type Point = (value: number) => number;

/** The function of each channel. */
function pointwise(x: Tensor, spec: InputSpec, options: Preprocess, channels: number): Point[] | null {
  const { range, mean, std } = options;
  if (!isFloat(spec.dtype)) {
    if (mean || std || range || options.scale !== undefined)
      throw new DataError(
        "preprocessing",
        { input: spec.name, dtype: spec.dtype },
        "mean, std, scale and range are for models that take floats",
      );
    return null;
  }
  const pixels = x.dtype === "uint8" ? 1 / 255 : 1;
  const scale = options.scale ?? (range ? (range[1] - range[0]) / 255 : pixels);
  const offset = options.scale === undefined && range ? range[0] : 0;
  if (scale === 1 && offset === 0 && !mean && !std) return null;
  const [means, stds] = [perChannel("mean", mean, 0, channels), perChannel("std", std, 1, channels)];
  if (stds.includes(0)) throw new DataError("preprocessing", { std }, "std must not be zero");
  return means.map((m, c) => {
    const s = stds[c]!;
    return (value) => fround(fround(fround(value * scale + offset) - m) / s);
  });
}

/** For 8-bit values a look-up is faster than arithmetic. */
function tabulated(points: readonly Point[], x: Tensor): readonly Point[] {
  if (x.dtype !== "uint8" || x.numel < 256 * points.length) return points;
  return points.map((point) => {
    const table = Float32Array.from({ length: 256 }, (_, value) => point(value));
    return (value) => table[value]!;
  });
}

interface ImagePlan {
  readonly from: ImageLayout;
  readonly to: ImageLayout;
  readonly sizes: readonly [channels: number, height: number, width: number];
}

/** @throws DataError when the images fit the model in no layout. */
function planImages(x: Tensor, spec: InputSpec, options: Preprocess): ImagePlan {
  const to = layoutOf(spec, options.layout);
  const wanted = spec.shape ? sizesOf(spec.shape, to) : [null, null, null];
  const candidates = options.dataLayout ? [options.dataLayout] : ([to, to === "nchw" ? "nhwc" : "nchw"] as const);
  const from = candidates.find((layout) => agree(sizesOf(x.shape, layout), wanted));
  if (!from)
    throw new DataError(
      "preprocessing",
      { input: spec.name, given: typeText(x), expected: typeText(spec) },
      "images do not have the size the model takes",
    );
  return { from, to, sizes: sizesOf(x.shape, from) as [number, number, number] };
}

function convertImages(x: Tensor, plan: ImagePlan, points: readonly Point[] | null, reversed: boolean): Tensor {
  const [channels, height, width] = plan.sizes;
  const [n, pixels] = [x.shape[0]!, height * width];
  const size = channels * pixels;
  const out = allocate(points ? "float32" : x.dtype, n * size);
  const { data } = x;
  for (let image = 0; image < n; image++) {
    for (let c = 0; c < channels; c++) {
      const source = reversed ? channels - 1 - c : c;
      const [readAt, readStep] = plan.from === "nchw" ? [source * pixels, 1] : [source, channels];
      const [writeAt, writeStep] = plan.to === "nchw" ? [c * pixels, 1] : [c, channels];
      let [read, write] = [image * size + readAt, image * size + writeAt];
      const point = points?.[c];
      for (let p = 0; p < pixels; p++, read += readStep, write += writeStep) {
        const value = data[read]!;
        out[write] = point ? point(value) : value;
      }
    }
  }
  const shape = plan.to === "nchw" ? [n, channels, height, width] : [n, height, width, channels];
  return new Tensor(points ? "float32" : x.dtype, shape, out);
}

/**
 * Stored rows [n, ...] as an input of the model.
 * @throws DataError for images of another size, and for settings that do not go together.
 */
export function preprocess(rows: Tensor, spec: InputSpec, options: Preprocess = {}): Tensor {
  const x = withChannelAxis(rows, spec);
  const reversed = options.channels === "bgr";
  if (x.rank === 4 && (spec.shape === null || spec.shape.length === 4)) {
    const plan = planImages(x, spec, options);
    const points = pointwise(x, spec, options, plan.sizes[0]);
    const same = !points && !reversed && plan.from === plan.to;
    return toDtype(same ? x : convertImages(x, plan, points && tabulated(points, x), reversed), spec);
  }
  const point = pointwise(x, spec, options, 1)?.[0];
  if (!point) return toDtype(x, spec);
  return toDtype(new Tensor("float32", x.shape, Float32Array.from(x.data, point)), spec);
}

/** Numbers as the model's dtype where that loses nothing but float precision; other mismatches are reported later. */
function toDtype(x: Tensor, { dtype }: InputSpec): Tensor {
  if (x.dtype === dtype) return x;
  const widening = isFloat(dtype) || (!isFloat(x.dtype) && (dtype === "int64" || dtype === "int32"));
  return widening ? cast(x, dtype) : x;
}
