/**
 * Resize and Upsample. Every axis is resampled by itself with taps (positions and weights) that follow from ONNX's
 * coordinate rules; what is PyTorch's interpolate becomes that operator.
 */

import { interpolate } from "../../ops/interpolate.ts";
import { fromDoubles } from "../../ops/loops.ts";
import { numel } from "../../tensor/shape.ts";
import { rint } from "../../tensor/rounding.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { since, valuesOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";

interface Axis {
  readonly size: number;
  readonly out: number;
  readonly scale: number;
  /** Part of the axis that is resampled, for tf_crop_and_resize. */
  readonly start: number;
  readonly end: number;
}

type Coordinate = (o: number, axis: Axis) => number;

const coordinates: Readonly<Record<string, Coordinate>> = {
  half_pixel: (o, { scale }) => (o + 0.5) / scale - 0.5,
  half_pixel_symmetric: (o, { scale, size, out }) => {
    const center = size / 2;
    return center * (1 - out / (scale * size)) + (o + 0.5) / scale - 0.5;
  },
  pytorch_half_pixel: (o, { scale, out }) => (out > 1 ? (o + 0.5) / scale - 0.5 : 0),
  align_corners: (o, { size, scale }) => (scale * size > 1 ? (o * (size - 1)) / (scale * size - 1) : 0),
  asymmetric: (o, { scale }) => o / scale,
  tf_half_pixel_for_nn: (o, { scale }) => (o + 0.5) / scale,
  tf_crop_and_resize: (o, { size, out, start, end }) =>
    out > 1 ? start * (size - 1) + (o * (end - start) * (size - 1)) / (out - 1) : 0.5 * (start + end) * (size - 1),
};

const roundings: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => (x - Math.floor(x) === 0.5 ? Math.floor(x) : rint(x)),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Weights of the taps around `at`, first tap first; antialiasing stretches them by the scale. */
function kernel(mode: string, a: number): { readonly reach: number; readonly weight: (d: number) => number } {
  if (mode === "linear") return { reach: 1, weight: (d) => Math.max(0, 1 - Math.abs(d)) };
  return {
    reach: 2,
    weight: (distance) => {
      const d = Math.abs(distance);
      if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
    },
  };
}

type Taps = readonly { readonly at: number; readonly weight: number }[];

interface Sampling {
  readonly mode: string;
  readonly coordinate: string;
  readonly nearest: string;
  readonly cubic: number;
  readonly antialias: boolean;
  readonly excludeOutside: boolean;
  readonly extrapolation: number;
}

/** Taps of one output position; null where it lies outside and the fill value stands. */
function tapsAt(o: number, axis: Axis, s: Sampling, coordinate: Coordinate): Taps | null {
  const { size } = axis;
  const x = coordinate(o, axis);
  if (s.coordinate === "tf_crop_and_resize" && (x < 0 || x > size - 1)) return null;
  const clamp = (at: number): number => Math.min(Math.max(at, 0), size - 1);
  if (s.mode === "nearest") {
    // Positions computed in float32 elsewhere land on halves that doubles miss by an ulp.
    const near = Math.fround(x);
    return [{ at: clamp((roundings[s.nearest] ?? Math.floor)(near)), weight: 1 }];
  }
  const { reach, weight } = kernel(s.mode, s.cubic);
  const stretch = s.antialias ? Math.max(1, 1 / axis.scale) : 1;
  const first = Math.floor(x - reach * stretch) + 1;
  const last = Math.ceil(x + reach * stretch) - 1;
  const from = Number.isInteger(x) && stretch === 1 ? x : first;
  const to = Number.isInteger(x) && stretch === 1 ? x : last;
  const taps: { at: number; weight: number }[] = [];
  for (let at = from; at <= to; at++) {
    const outside = at < 0 || at >= size;
    if (outside && s.excludeOutside) continue;
    taps.push({ at: clamp(at), weight: weight((at - x) / stretch) });
  }
  const total = taps.reduce((sum, tap) => sum + tap.weight, 0);
  return s.antialias || s.excludeOutside ? taps.map((tap) => ({ at: tap.at, weight: tap.weight / total })) : taps;
}

function resample(x: Tensor, axes: readonly Axis[], s: Sampling, coordinate: Coordinate): Float64Array {
  let values: Float64Array = Float64Array.from(x.data);
  const shape = [...x.shape];
  const fill = values.length > 0 ? s.extrapolation : 0;
  axes.forEach((axis, at) => {
    if (axis.size === axis.out && axis.scale === 1 && axis.start === 0 && axis.end === 1) return;
    const outer = numel(shape.slice(0, at));
    const inner = numel(shape.slice(at + 1));
    const next = new Float64Array(outer * axis.out * inner);
    for (let o = 0; o < axis.out; o++) {
      const taps = tapsAt(o, axis, s, coordinate);
      for (let i = 0; i < outer; i++) {
        for (let k = 0; k < inner; k++) {
          let sum = taps ? 0 : fill;
          for (const tap of taps ?? []) sum += tap.weight * values[(i * axis.size + tap.at) * inner + k]!;
          next[(i * axis.out + o) * inner + k] = sum;
        }
      }
    }
    values = next;
    shape[at] = axis.out;
  });
  return values;
}

/** The interpolate that says the same, or null: only spatial axes change, by PyTorch's rules. */
function asInterpolate(call: Call, x: Tensor, axes: readonly Axis[], s: Sampling): Tensor | null {
  const spatial = axes.slice(2);
  const rank = spatial.length;
  const fits = rank >= 1 && rank <= 3 && isFloat(x.dtype) && axes.slice(0, 2).every(({ size, out }) => size === out);
  if (!fits || s.antialias || s.excludeOutside || spatial.some(({ size, out, scale }) => out !== size * scale))
    return null;
  const size = spatial.map(({ out }) => out);
  if (s.mode === "nearest" && s.coordinate === "asymmetric" && s.nearest === "floor")
    return interpolate(x, { size, mode: "nearest" });
  const corners = s.coordinate === "align_corners";
  if (s.mode !== "linear" || !(corners || s.coordinate === "half_pixel")) return null;
  const modes = ["linear", "bilinear", "trilinear"] as const;
  return interpolate(x, { size, mode: modes[rank - 1]!, alignCorners: corners });
}

function run(call: Call, x: Tensor, axes: readonly Axis[], s: Sampling): Tensor {
  const coordinate =
    coordinates[s.coordinate] ?? call.fail("an unknown way to place coordinates", { mode: s.coordinate });
  if (!["nearest", "linear", "cubic"].includes(s.mode)) call.fail("an unknown mode", { mode: s.mode });
  const type = { dtype: x.dtype, shape: axes.map(({ out }) => out) };
  call.checkSize(type.shape);
  return (
    asInterpolate(call, x, axes, s) ??
    call.native([type], () => [fromDoubles(type, resample(x, axes, s, coordinate))])[0]!
  );
}

function sampling(call: Call): Sampling {
  return {
    mode: call.string("mode", "nearest"),
    coordinate: call.string("coordinate_transformation_mode", call.opset >= 11 ? "half_pixel" : "asymmetric"),
    nearest: call.string("nearest_mode", call.opset >= 11 ? "round_prefer_floor" : "floor"),
    cubic: call.float("cubic_coeff_a", -0.75),
    antialias: call.int("antialias") === 1,
    excludeOutside: call.int("exclude_outside") === 1,
    extrapolation: call.float("extrapolation_value"),
  };
}

function values(call: Call, i: number): number[] | null {
  const tensor = call.optional(i);
  return tensor && tensor.numel > 0 ? valuesOf(tensor) : null;
}

function resize(call: Call, scalesAt: number, sizesAt: number, roiAt: number): Tensor {
  const x = call.input(0);
  const named = call.ints("axes")?.map((axis) => (axis < 0 ? axis + x.rank : axis)) ?? x.shape.map((_, i) => i);
  const [scales, sizes, roi] = [values(call, scalesAt), values(call, sizesAt), values(call, roiAt)];
  const policy = call.string("keep_aspect_ratio_policy", "stretch");
  let wanted = sizes;
  let ratio: number | null = null;
  if (sizes && policy !== "stretch") {
    const ratios = named.map((axis, i) => sizes[i]! / x.shape[axis]!);
    ratio = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
    wanted = named.map((axis) => Math.floor(ratio! * x.shape[axis]! + 0.5));
  }
  const axes = x.shape.map((size, axis): Axis => {
    const i = named.indexOf(axis);
    if (i < 0) return { size, out: size, scale: 1, start: 0, end: 1 };
    const scale = wanted ? (ratio ?? wanted[i]! / size) : (scales?.[i] ?? 1);
    const out = wanted ? wanted[i]! : Math.floor(size * scale);
    return { size, out, scale, start: roi?.[i] ?? 0, end: roi?.[i + named.length] ?? 1 };
  });
  return run(call, x, axes, sampling(call));
}

function upsample(call: Call, scales: readonly number[]): Tensor {
  const x = call.input(0);
  const axes = x.shape.map((size, i) => ({
    size,
    out: Math.floor(size * scales[i]!),
    scale: scales[i]!,
    start: 0,
    end: 1,
  }));
  return run(call, x, axes, { ...sampling(call), coordinate: "asymmetric", nearest: "floor" });
}

export const resizeRules: OnnxRules = {
  Resize: since({ 10: (call) => resize(call, 1, -1, -1), 11: (call) => resize(call, 2, 3, 1) }),
  Upsample: since({
    7: (call) => upsample(call, call.floats("scales") ?? call.fail("needs scales")),
    9: (call) => upsample(call, valuesOf(call.input(1))),
  }),
};
