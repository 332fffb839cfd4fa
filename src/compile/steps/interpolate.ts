/**
 * Resized images, an axis at a time: floats by weighted sums of lines, in every mode; bytes by choosing pixels, or for
 * bilinear as PyTorch does it, by weighted sums of the integers.
 */

import type { Node } from "../../graph/graph.ts";
import { SUB } from "../../kernels/f32-binary/kinds.ts";
import { NO_BORDER, pixelOffset, rowStride } from "../../kernels/qconv/image.ts";
import type { Image } from "../../kernels/qconv/image.ts";
import { tapsOf } from "../../ops/interpolate-taps.ts";
import type { Taps } from "../../ops/interpolate-taps.ts";
import type { InterpolateAttrs } from "../../ops/interpolate.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { elementOf, imageOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { constantF32, constantI32 } from "./conv.ts";
import { bindDequantize, bindQuantize } from "./quantize.ts";
import { dequantizerOf, quantizerOf } from "./quantized-storage.ts";

const FLOAT = 4;

/** Taps of rows and of columns; a line has one row. */
interface AxisTaps {
  readonly rows: Taps;
  readonly columns: Taps;
}

function tapsFor(shape: Shape, { size, mode, alignCorners, scales }: InterpolateAttrs): AxisTaps {
  const axes = size.map((out, i) =>
    tapsOf(shape[i + 2]!, out, { mode, alignCorners, scale: scales?.[i] ?? null, round: Math.fround }),
  );
  const one: Taps = { count: 1, index: new Int32Array(1), weight: Float64Array.of(1) };
  return axes.length === 1 ? { rows: one, columns: axes[0]! } : { rows: axes[0]!, columns: axes[1]! };
}

/** Columns into the room between, then rows. */
function bindFloats(place: Place, { rows, columns }: AxisTaps, x: Buffer, between: Buffer, y: Buffer): () => void {
  const { engine, at } = place;
  const [from, middle, to] = [x.image, between.image, y.image];
  const bind = (taps: Taps, step: number): readonly [count: number, index: number, weights: number] => [
    taps.count,
    constantI32(
      place,
      taps.index.map((i) => i * step),
    ),
    constantF32(place, taps.weight),
  ];
  const across = bind(columns, from.c * FLOAT);
  const down = bind(rows, rowStride(middle) * FLOAT);
  const address = (buffer: Buffer, image: Image, n: number, row: number): number =>
    at(buffer) + pixelOffset(image, n, row, 0) * FLOAT;
  return () => {
    for (let n = 0; n < from.n; n++) {
      for (let row = 0; row < from.h; row++)
        engine.kernels.f32_taps(
          0, to.w, ...across, address(x, from, n, row), address(between, middle, n, row), to.c * FLOAT, to.c,
        ); // prettier-ignore
      engine.kernels.f32_taps(
        0, to.h, ...down, address(between, middle, n, 0), address(y, to, n, 0), rowStride(to) * FLOAT, to.w * to.c,
      ); // prettier-ignore
    }
  };
}

/** Pixels of bytes where they come from. */
function bindPick({ engine, at }: Place, { rows, columns }: AxisTaps, x: Buffer, y: Buffer): () => void {
  const [from, to] = [x.image, y.image];
  const [source, target] = [at(x), at(y)];
  return () => {
    const memory = new Uint8Array(engine.memory.wasm.buffer);
    for (let n = 0; n < to.n; n++)
      for (let row = 0; row < to.h; row++)
        for (let column = 0; column < to.w; column++) {
          const start = source + pixelOffset(from, n, rows.index[row]!, columns.index[column]!);
          memory.copyWithin(target + pixelOffset(to, n, row, column), start, start + to.c);
        }
  };
}

/** A bare image of floats. */
function roomFor(plan: PlanBuilder, shape: Shape): Buffer {
  return plan.scratch({ dtype: "float32", shape }, { kind: "image", image: imageOf(shape, NO_BORDER)!, shape });
}

/** Integers as floats, resized, the zero point taken off and added again in the rounding. */
function bindIntegers(
  place: Place,
  taps: AxisTaps,
  [x, integers, between, reals, y]: readonly [Buffer, Buffer, Buffer, Buffer, Buffer],
  flip: 0 | 0x80,
): () => void {
  const { engine, at } = place;
  const widen = bindDequantize(place, x, integers, { ...dequantizerOf(x.type, flip, false), scale: 1, zeroPoint: 0 });
  const resize = bindFloats(place, taps, integers, between, reals);
  const quantizer = { ...quantizerOf(y.type, flip, "addThenRound"), inverse: 1 };
  const quantize = bindQuantize(place, reals, y, quantizer);
  const [none, zero] = [constantI32(place, [0]), constantF32(place, [quantizer.zeroPoint])];
  const count = numel(reals.type.shape);
  return () => {
    widen();
    resize();
    engine.kernels.f32_binary(
      0, 1, none, none, none, at(reals), zero, at(reals), count, SUB, 1, 0, -Infinity, Infinity,
    ); // prettier-ignore
    quantize();
  };
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const { dtype, shape } = plan.type(node.args[0]!);
  const attrs = node.attrs as InterpolateAttrs;
  const isByte = elementOf(dtype) === "byte";
  if (!imageOf(shape) || elementOf(dtype) === "host") return "only lines and images of float32 and bytes have a kernel";
  const result = plan.type(node.output).shape;
  if (isByte && sameShape(shape, result)) {
    plan.same(node.output, plan.read(node.args[0]!, node, { kind: "any" }));
    return;
  }
  const taps = tapsFor(shape, attrs);
  const x = plan.read(node.args[0]!, node, { kind: "image" });
  const y = plan.write(node.output, "image");
  const isWeighted = !isByte || taps.columns.count > 1;
  const between = roomFor(plan, [...shape.slice(0, -1), result.at(-1)!]);
  const rooms = isByte ? [roomFor(plan, shape), between, roomFor(plan, result)] : [between];
  plan.step({
    node,
    kernel: isByte ? (isWeighted ? "qinterpolate" : "copy pixels") : "f32 interpolate",
    precision: isByte ? "int8" : "float",
    why: "",
    operations: 0,
    reads: [x],
    writes: isWeighted ? [...rooms, y] : [y],
    bind(place) {
      if (!isWeighted) return bindPick(place, taps, x, y);
      if (!isByte) return bindFloats(place, taps, x, between, y);
      return bindIntegers(place, taps, [x, rooms[0]!, between, rooms[2]!, y], plan.flip);
    },
  });
}

export const interpolateRules: readonly (readonly [string, StepRule])[] = [
  ["interpolate", { emit }],
  ["quantizedInterpolate", { emit }],
];
