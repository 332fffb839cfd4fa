/**
 * Values seen as lines of pixels with their channels side by side: images, and rows of a matrix. Kernels take one number
 * a channel, from vectors in the plan's constants that JavaScript fills.
 */

import type { Argument, Node } from "../../../graph/graph.ts";
import { pixelOffset } from "../../../kernels/qconv/image.ts";
import type { TensorType } from "../../../tensor/tensor.ts";
import { imageOf } from "../../form.ts";
import type { Buffer } from "../../buffer.ts";
import { lastImageFirst } from "../../lines.ts";
import type { Place, PlanBuilder } from "../../plan.ts";
import { constantI32 } from "../../steps/conv.ts";

const FLOAT = 4;
/** Parts into which sums over lines are cut, whatever the number of threads. */
export const SLOTS = 8;
/** Most lines a matrix is cut into. */
const MOST_LINES = 32;

/** The form in which axis 1 is innermost, or null when there is none. */
export function channelForm({ dtype, shape }: TensorType): "flat" | "image" | null {
  if (dtype !== "float32") return null;
  return shape.length === 2 ? "flat" : imageOf(shape) ? "image" : null;
}

export interface ChannelLines {
  readonly lines: number;
  readonly pixels: number;
  readonly channels: number;
  /** Addresses of the line tables, one a buffer. */
  readonly tables: readonly number[];
}

function hasBorder({ form }: Buffer): boolean {
  if (form.kind === "flat") return false;
  const { top, left, bottom, right } = form.image.border;
  return top + left + bottom + right > 0;
}

/** How many lines of how many pixels: rows of bordered images, whole images, or pieces of a matrix. */
function cut(buffers: readonly Buffer[]): { lines: number; pixels: number; perImage: number } {
  const { form, type } = buffers[0]!;
  if (form.kind === "image") {
    const { n, h, w } = form.image;
    return buffers.some(hasBorder)
      ? { lines: n * h, pixels: w, perImage: h }
      : { lines: n, pixels: h * w, perImage: 1 };
  }
  const rows = type.shape[0]!;
  let lines = 1;
  for (let count = 2; count <= Math.min(rows, MOST_LINES); count++) if (rows % count === 0) lines = count;
  return { lines, pixels: rows / lines, perImage: 1 };
}

/**
 * The lines of buffers of one shape, all in `channelForm`. `lastFirst`: for passes over what a step before has just
 * written from the first image to the last, whose end is still in the cache.
 */
export function channelLines(place: Place, buffers: readonly Buffer[], lastFirst = false): ChannelLines {
  const channels = buffers[0]!.type.shape[1]!;
  const { lines, pixels, perImage } = cut(buffers);
  const tables = buffers.map(({ form }) => {
    const starts = Array.from({ length: lines }, (_, i) =>
      form.kind === "image"
        ? pixelOffset(form.image, Math.floor(i / perImage), i % perImage, 0) * FLOAT
        : i * pixels * channels * FLOAT,
    );
    return constantI32(place, lastFirst ? lastImageFirst(starts, lines / perImage) : starts);
  });
  return { lines, pixels, channels, tables };
}

/** Entries of a vector for kernels that take four channels at once. */
export function paddedChannels(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}

/** A vector of one float32 a channel, zero behind the last. */
export function channelVector({ engine, constant }: Place, channels: number): number {
  const count = paddedChannels(channels);
  const at = constant(count * FLOAT);
  engine.memory.f32(at, count).fill(0);
  return at;
}

/** Reads a value in its channel form. */
export function readChannels(plan: PlanBuilder, node: Node, argument: Argument): Buffer {
  return plan.read(argument, node, { kind: channelForm(plan.type(argument)) ?? "flat" });
}

/** Mean and biased variance of every channel, and smallest and largest values. */
export interface Moments {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly lows: Float32Array;
  readonly highs: Float32Array;
}

/** The call that takes the moments of a buffer into `moments`. */
export function bindMoments(place: Place, x: Buffer, { mean, variance, lows, highs }: Moments): () => void {
  const { engine, at, constant } = place;
  const { memory } = engine;
  const { lines, pixels, channels, tables: [table] } = channelLines(place, [x], true); // prettier-ignore
  const c4 = paddedChannels(channels);
  const slotBytes = 28 * c4;
  const out = constant(SLOTS * slotBytes);
  const source = at(x);
  const split = { at: 0, unit: 1 };
  const counts = Array.from(
    { length: SLOTS },
    (_, slot) => pixels * (slotStart(slot + 1, lines) - slotStart(slot, lines)),
  );
  const count = pixels * lines;
  const operations = 8 * lines * pixels * channels;
  return () => {
    engine.share(
      "f32_channel_moments",
      [0, SLOTS, SLOTS, lines, table!, source, pixels, channels, out],
      split,
      operations,
    );
    mean.fill(0);
    variance.fill(0);
    lows.fill(Infinity);
    highs.fill(-Infinity);
    const parts = counts.map((_, slot) => {
      const from = out + slot * slotBytes;
      const doubles = (at: number): Float64Array => memory.f64(from + at * c4, channels);
      const floats = (at: number): Float32Array => memory.f32(from + at * c4, channels);
      return { sums: doubles(0), squares: doubles(8), pivots: floats(16), lows: floats(20), highs: floats(24) };
    });
    parts.forEach((part, slot) => {
      for (let c = 0; c < channels; c++) {
        mean[c]! += (part.sums[c]! + counts[slot]! * part.pivots[c]!) / count;
        lows[c] = Math.min(lows[c]!, part.lows[c]!);
        highs[c] = Math.max(highs[c]!, part.highs[c]!);
      }
    });
    // sum (x - mean)^2 from sums about the pivot, with d = mean - pivot: squares - 2 d sums + n d^2
    parts.forEach((part, slot) => {
      for (let c = 0; c < channels; c++) {
        const d = mean[c]! - part.pivots[c]!;
        variance[c]! += (part.squares[c]! - 2 * d * part.sums[c]! + counts[slot]! * d * d) / count;
      }
    });
    for (let c = 0; c < channels; c++) variance[c] = Math.max(0, variance[c]!);
  };
}

/** First line of a slot, as in the kernels. */
function slotStart(slot: number, lines: number): number {
  return Math.floor((slot * lines) / SLOTS);
}

export function emptyMoments(channels: number): Moments {
  return {
    mean: new Float64Array(channels),
    variance: new Float64Array(channels),
    lows: new Float32Array(channels),
    highs: new Float32Array(channels),
  };
}
