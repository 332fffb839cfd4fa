/**
 * Operators that move elements or ask for shapes: reshape, transpose, slice, concatenate, pad, expand and their kin.
 */

import { cat } from "../../ops/cat.ts";
import { pad } from "../../ops/pad.ts";
import { tile } from "../../ops/repeat.ts";
import { expand, permute, reshape } from "../../ops/shape.ts";
import { flip, slice, split } from "../../ops/slicing.ts";
import { tril, triu } from "../../ops/triangle.ts";
import { cast } from "../../ops/unary.ts";
import { broadcastShapes, normalizeAxes, normalizeAxis, numel } from "../../tensor/shape.ts";
import { fromArray, scalar } from "../../tensor/create.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { decodeValues, encodeValues } from "../../tensor/wire.ts";
import { rule, since, valueOf, valuesOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";
import { requireDType } from "../dtypes.ts";
import { isSymbolic } from "../tracer.ts";

function int64(values: readonly number[]): Tensor {
  return fromArray(values, [values.length], "int64");
}

/** 0 keeps an axis (unless `allowzero`), -1 takes what is left. */
function reshaped(call: Call): Tensor {
  const x = call.input(0);
  const wanted = call.intsOrInput("shape", 1) ?? call.fail("needs a shape");
  const keep = call.int("allowzero") === 0;
  return reshape(
    x,
    wanted.map((size, axis) => (size === 0 && keep ? (x.shape[axis] ?? 0) : size)),
  );
}

function flattened(call: Call): Tensor {
  const x = call.input(0);
  const axis = call.int("axis", 1);
  const at = axis < 0 ? axis + x.rank : axis;
  if (at < 0 || at > x.rank) call.fail("the axis must lie in the shape", { axis, rank: x.rank });
  return reshape(x, [numel(x.shape.slice(0, at)), numel(x.shape.slice(at))]);
}

function squeezed(call: Call): Tensor {
  const x = call.input(0);
  const axes = call.intsOrInput("axes", 1);
  const dropped = axes ? normalizeAxes("Squeeze", axes, x.rank) : x.shape.flatMap((size, i) => (size === 1 ? [i] : []));
  if (dropped.some((axis) => x.shape[axis] !== 1))
    call.fail("only axes of size 1 can be dropped", { shape: x.shape, axes });
  return reshape(
    x,
    x.shape.filter((_, axis) => !dropped.includes(axis)),
  );
}

function unsqueezed(call: Call): Tensor {
  const x = call.input(0);
  const axes = call.intsOrInput("axes", 1) ?? call.fail("needs axes");
  const added = normalizeAxes("Unsqueeze", axes, x.rank + axes.length);
  const own = [...x.shape];
  const shape = Array.from({ length: x.rank + axes.length }, (_, axis) => (added.includes(axis) ? 1 : own.shift()!));
  return reshape(x, shape);
}

function transposed(call: Call): Tensor {
  const x = call.input(0);
  const perm = call.ints("perm") ?? x.shape.map((_, axis) => x.rank - 1 - axis);
  if (new Set(perm).size !== x.rank) call.fail("perm must name every axis once", { perm, shape: x.shape });
  return perm.every((axis, i) => axis === i) ? x : permute(x, perm);
}

/** One axis of a slice; negative steps walk a flipped axis. */
function sliceAxis(x: Tensor, axis: number, start: number, end: number, step: number): Tensor {
  const size = x.shape[axis]!;
  const from = start < 0 ? start + size : start;
  const to = end < 0 ? end + size : end;
  if (step > 0) return slice(x, axis, Math.max(from, 0), Math.min(Math.max(to, 0), size), step);
  const first = Math.min(from, size - 1);
  const last = Math.max(to, -1);
  return slice(flip(x, axis), axis, size - 1 - first, Math.max(size - 1 - last, size - 1 - first), -step);
}

function sliced(
  call: Call,
  starts: readonly number[],
  ends: readonly number[],
  axes: readonly number[] | null,
  steps: readonly number[] | null,
): Tensor {
  return starts.reduce((x, start, i) => {
    const axis = normalizeAxis("Slice", axes ? axes[i]! : i, x.rank);
    const [end, step] = [ends[i]!, steps ? steps[i]! : 1];
    if (step === 0) call.fail("a step must not be zero");
    return sliceAxis(x, axis, start, end, step);
  }, call.input(0));
}

function optionalValues(call: Call, i: number): number[] | null {
  const tensor = call.optional(i);
  return tensor ? valuesOf(tensor) : null;
}

function concatenated(call: Call): Tensor {
  const axis = normalizeAxis("Concat", call.int("axis"), call.input(0).rank);
  const parts = call.given.filter(({ shape }) => shape[axis] !== 0);
  return parts.length === 0 ? call.input(0) : parts.length === 1 ? parts[0]! : cat(parts, axis);
}

function parted(call: Call): readonly Tensor[] {
  const x = call.input(0);
  const axis = normalizeAxis("Split", call.int("axis"), x.rank);
  const sizes = call.intsOrInput("split", 1);
  if (sizes) return split(x, sizes, axis);
  const count = call.int("num_outputs", call.wanted.length);
  const each = Math.ceil(x.shape[axis]! / count);
  const equal = Array.from({ length: count }, (_, i) => Math.max(0, Math.min(each, x.shape[axis]! - i * each)));
  return split(x, equal, axis);
}

function expanded(call: Call): Tensor {
  const x = call.input(0);
  const shape = broadcastShapes("Expand", x.shape, valuesOf(call.input(1)));
  if (!isSymbolic(x)) call.checkSize(shape);
  return expand(x, shape);
}

function tiled(call: Call): Tensor {
  const x = call.input(0);
  const repeats = valuesOf(call.input(1));
  if (repeats.length !== x.rank) call.fail("needs one count for every axis", { repeats, shape: x.shape });
  if (!isSymbolic(x)) call.checkSize(x.shape.map((size, i) => size * repeats[i]!));
  return tile(x, repeats);
}

const padModes = { constant: "constant", reflect: "reflect", edge: "replicate", wrap: "circular" } as const;

function padded(call: Call, pads: readonly number[], value: number, axes: readonly number[] | null): Tensor {
  const x = call.input(0);
  const named = axes ? axes.map((axis) => normalizeAxis("Pad", axis, x.rank)) : x.shape.map((_, axis) => axis);
  if (pads.length !== 2 * named.length) call.fail("needs two sizes for every axis", { pads, axes: named });
  const sides = x.shape.map(() => [0, 0]);
  named.forEach((axis, i) => (sides[axis] = [pads[i]!, pads[i + named.length]!]));
  const mode = call.string("mode", "constant");
  if (!Object.hasOwn(padModes, mode)) call.fail("an unknown way to pad", { mode });
  if (!isSymbolic(x)) call.checkSize(x.shape.map((size, i) => Math.max(0, size + sides[i]![0]! + sides[i]![1]!)));
  return pad(x, sides.reverse().flat(), { mode: padModes[mode as keyof typeof padModes], value });
}

function shapeOf(call: Call): Tensor {
  const { shape } = call.input(0);
  const end = call.int("end", shape.length);
  return int64(shape.slice(call.int("start"), end));
}

function constant(call: Call): Tensor {
  const tensor = call.tensor("value");
  if (tensor) return tensor;
  if (call.has("value_float")) return scalar(call.float("value_float"));
  if (call.has("value_int")) return scalar(call.int("value_int"), "int64");
  const floats = call.floats("value_floats");
  if (floats) return fromArray(floats, [floats.length]);
  const ints = call.ints("value_ints");
  return ints ? int64(ints) : call.fail("a constant of a kind that is not supported");
}

function constantOfShape(call: Call): Tensor {
  const value = call.tensor("value") ?? scalar(0);
  return call.filled(valuesOf(call.input(0)), valueOf(value), value.dtype);
}

function range(call: Call): Tensor {
  const [first, limit, step] = [call.input(0), call.input(1), call.input(2)];
  const [a, b, s] = [valueOf(first), valueOf(limit), valueOf(step)];
  const count = Math.max(0, Math.ceil((b - a) / s));
  call.checkSize([count]);
  const data = allocate(first.dtype, count);
  for (let i = 0; i < count; i++) data[i] = a + i * s;
  return new Tensor(first.dtype, [count], data);
}

function casted(call: Call): Tensor {
  return castTo(call.input(0), requireDType("Cast", call.int("to")));
}

/** Floats become integers by dropping the fraction, and wrap around where they do not fit. */
export function castTo(x: Tensor, dtype: DType): Tensor {
  return cast(x, dtype);
}

/** The same bytes as elements of another type. */
function bitCast(call: Call): Tensor {
  const x = call.input(0);
  const dtype = requireDType("BitCast", call.int("to"));
  if (dtypeInfo[dtype].bits !== dtypeInfo[x.dtype].bits)
    call.fail("both types must have the same number of bits", { from: x.dtype, to: dtype });
  const type = { dtype, shape: x.shape };
  return call.native([type], () => [
    new Tensor(dtype, x.shape, decodeValues(dtype, encodeValues(x.dtype, x.data), x.numel)),
  ])[0]!;
}

function triangle(call: Call): Tensor {
  const k = call.optional(1);
  const diagonal = k ? valueOf(k) : 0;
  return call.int("upper", 1) === 1 ? triu(call.input(0), diagonal) : tril(call.input(0), diagonal);
}

function depthToSpace(call: Call): Tensor {
  const x = call.input(0);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const b = call.int("blocksize");
  const depth = c / (b * b);
  const order = call.string("mode", "DCR") === "CRD";
  const apart = order ? reshape(x, [n, depth, b, b, h, w]) : reshape(x, [n, b, b, depth, h, w]);
  return reshape(permute(apart, order ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]), [n, depth, h * b, w * b]);
}

function spaceToDepth(call: Call): Tensor {
  const x = call.input(0);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const b = call.int("blocksize");
  const order = call.string("mode", "DCR") === "CRD" ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4];
  return reshape(permute(reshape(x, [n, c, h / b, b, w / b, b]), order), [n, c * b * b, h / b, w / b]);
}

/** Middle part of an axis, or zeros on both sides of it. */
function centerCropPad(call: Call): Tensor {
  const x = call.input(0);
  const wanted = valuesOf(call.input(1));
  const axes = call.ints("axes") ?? x.shape.map((_, axis) => axis);
  return axes.reduce((y, named, i) => {
    const axis = normalizeAxis("CenterCropPad", named, y.rank);
    const [size, target] = [y.shape[axis]!, wanted[i]!];
    if (target <= size) {
      const start = Math.floor((size - target) / 2);
      return slice(y, axis, start, start + target);
    }
    const before = Math.floor((target - size) / 2);
    const padding = new Array<number>(2 * (y.rank - axis)).fill(0);
    padding.splice(-2, 2, before, target - size - before);
    return pad(y, padding);
  }, x);
}

function eyeLike(call: Call): Tensor {
  const x = call.input(0);
  const [rows, columns] = x.shape as [number, number];
  const dtype = call.has("dtype") ? requireDType("EyeLike", call.int("dtype")) : x.dtype;
  const out = call.filled([rows, columns], 0, dtype);
  for (let i = 0; i < rows; i++) {
    const j = i + call.int("k");
    if (j >= 0 && j < columns) out.data[i * columns + j] = 1;
  }
  return out;
}

export const shapeRules: OnnxRules = {
  BitCast: rule(bitCast),
  Cast: rule(casted),
  CastLike: rule((call) => castTo(call.input(0), call.input(1).dtype)),
  CenterCropPad: rule(centerCropPad),
  Concat: rule(concatenated),
  Constant: rule(constant),
  ConstantOfShape: rule(constantOfShape),
  DepthToSpace: rule(depthToSpace),
  Expand: rule(expanded),
  EyeLike: rule(eyeLike),
  Flatten: rule(flattened),
  Pad: since({
    1: (call) => padded(call, call.ints("pads") ?? [], call.float("value"), null),
    11: (call) => {
      const value = call.optional(2);
      return padded(call, valuesOf(call.input(1)), value ? valueOf(value) : 0, optionalValues(call, 3));
    },
  }),
  Range: rule(range),
  Reshape: rule(reshaped),
  Shape: rule(shapeOf),
  Size: rule((call) => scalar(call.input(0).numel, "int64")),
  Slice: since({
    1: (call) => sliced(call, call.ints("starts") ?? [], call.ints("ends") ?? [], call.ints("axes"), null),
    10: (call) =>
      sliced(call, valuesOf(call.input(1)), valuesOf(call.input(2)), optionalValues(call, 3), optionalValues(call, 4)),
  }),
  SpaceToDepth: rule(spaceToDepth),
  Split: rule(parted),
  Squeeze: rule(squeezed),
  Tile: rule(tiled),
  Transpose: rule(transposed),
  Trilu: rule(triangle),
  Unsqueeze: rule(unsqueezed),
};
