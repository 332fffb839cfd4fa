/**
 * The input gradient of a convolution (which is also the forward of a transposed convolution) as dense products.
 *
 * It is cut into phases: input pixels whose position has the same remainder by the stride meet the same points
 * of the kernel, so each phase is a small dense product and no zeros are multiplied.
 * Formulas: https://arxiv.org/abs/1603.07285 (Dumoulin and Visin), sections 2 and 4.
 */

import type { Engine } from "../engine.ts";
import type { Conv3d } from "./geometry.ts";
import { map3, volume } from "./geometry.ts";
import type { Alloc, Image } from "./image.ts";
import { gridTable, imageFrom, pixelOffset } from "./image.ts";
import type { Operands, Product } from "./implicit.ts";
import { isDepthwise, runDense, runDepthwise } from "./implicit.ts";

/** One axis of a phase: input positions first, first + stride, ... and the kernel points they meet. */
export interface AxisPhase {
  readonly first: number;
  readonly count: number;
  /** Output position for the first input position, by kernel point; rises by one a position. */
  readonly points: readonly { readonly index: number; readonly from: number }[];
}

/** Phases of one axis. Points are listed so that output positions rise, which keeps runs contiguous. */
export function axisPhases(c: Conv3d, axis: 0 | 1 | 2): AxisPhase[] {
  const [size, kernel, stride, padding, dilation] = [
    c.size[axis],
    c.kernel[axis],
    c.stride[axis],
    c.padding[axis],
    c.dilation[axis],
  ];
  const phases: AxisPhase[] = [];
  for (let first = 0; first < Math.min(stride, size); first++) {
    const points = [];
    for (let index = kernel - 1; index >= 0; index--) {
      const reach = first + padding - index * dilation;
      if (reach % stride === 0) points.push({ index, from: reach / stride });
    }
    phases.push({ first, count: Math.ceil((size - first) / stride), points });
  }
  return phases;
}

/** Border that the phases of one axis read before and after an output of length `length`. */
export function axisReach(phases: readonly AxisPhase[], length: number): { low: number; high: number } {
  let low = 0;
  let high = 0;
  for (const { count, points } of phases) {
    for (const { from } of points) {
      low = Math.max(low, -from);
      high = Math.max(high, from + count - length);
    }
  }
  return { low, high };
}

/** The product of one phase: rows in the input's grid, taps into the bordered output gradient. */
function phaseProduct(
  engine: Engine,
  alloc: Alloc,
  c: Conv3d,
  dy: Image,
  phases: readonly [AxisPhase, AxisPhase, AxisPhase],
): Product {
  const counts = map3((i) => phases[i].count);
  const [z, y, x] = phases;
  const pixel = c.inChannels * 4;
  const place = (a: number, b: number, d: number): number => ((a * c.size[1] + b) * c.size[2] + d) * pixel;
  const out = gridTable(engine, alloc, place(z.first, y.first, x.first), c.batch, counts, [
    c.inPixels * pixel,
    place(c.stride[0], 0, 0),
    place(0, c.stride[1], 0),
    place(0, 0, c.stride[2]),
  ]);
  const table = gridTable(engine, alloc, 0, c.batch, counts, [
    dy.imageBytes,
    dy.planeBytes,
    dy.rowBytes,
    dy.pixelBytes,
  ]);
  const taps = [];
  for (const a of z.points)
    for (const b of y.points)
      for (const d of x.points) {
        taps.push({
          point: (a.index * c.kernel[1] + b.index) * c.kernel[2] + d.index,
          offset: pixelOffset(dy, a.from, b.from, d.from),
        });
      }
  return { rows: c.batch * volume(counts), table, out, taps };
}

/** Fills the result of `operands` phase by phase. */
export function backwardInputByPhases(
  engine: Engine,
  alloc: Alloc,
  operands: Omit<Operands, "source">,
  dy: Float32Array,
  c: Conv3d,
): void {
  const axes = [axisPhases(c, 0), axisPhases(c, 1), axisPhases(c, 2)] as const;
  const reach = [
    axisReach(axes[0], c.outSize[0]),
    axisReach(axes[1], c.outSize[1]),
    axisReach(axes[2], c.outSize[2]),
  ] as const;
  const grid = { batch: c.batch, channels: c.outChannels, size: c.outSize };
  const [low, high] = [map3((i) => reach[i].low), map3((i) => reach[i].high)];
  const image = imageFrom(engine, alloc, dy, grid, low, high);
  const run = isDepthwise(c) ? runDepthwise : runDense;
  for (const z of axes[0])
    for (const y of axes[1])
      for (const x of axes[2]) {
        engine.memory.scope((inner) => {
          run(engine, inner, { ...operands, source: image.at }, phaseProduct(engine, inner, c, image, [z, y, x]));
        });
      }
}
