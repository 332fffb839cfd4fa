/**
 * Values seen as lines of pixels with their channels side by side: images, and rows of a matrix. Kernels take one number
 * a channel, from vectors in the plan's constants that JavaScript fills.
 */

import { imageOf } from "../../form.ts";
import type { Buffer, Place, PlanBuilder } from "../../plan.ts";
import { linesOf } from "../../steps/elementwise.ts";
import type { TensorType } from "../../../tensor/tensor.ts";

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

/** The lines of buffers of one shape, all in `channelForm`. */
export function channelLines(place: Place, buffers: readonly Buffer[]): ChannelLines {
  const { count, length, tables } = linesOf(place, buffers);
  const channels = buffers[0]!.type.shape[1]!;
  return { lines: count, pixels: channels > 0 ? length / channels : 0, channels, tables };
}

/** Entries of a vector for kernels that take four channels at once. */
function padded(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}

/** A vector of one float32 a channel, zero behind the last. */
export function channelVector({ engine, constant }: Place, channels: number): number {
  const at = constant(padded(channels) * 4);
  engine.memory.f32(at, padded(channels)).fill(0);
  return at;
}

/** `count` vectors of one double a channel, one behind the other. */
export function channelDoubles({ engine, constant }: Place, channels: number, count: number): readonly number[] {
  const bytes = padded(channels) * 8;
  const at = constant(bytes * count);
  engine.memory.u8(at, bytes * count).fill(0);
  return Array.from({ length: count }, (_, i) => at + i * bytes);
}

/** Reads a value in its channel form. */
export function readChannels(plan: PlanBuilder, node: Parameters<PlanBuilder["read"]>[1], argument: unknown): Buffer {
  const type = plan.type(argument as Parameters<PlanBuilder["type"]>[0]);
  const kind = channelForm(type) ?? "flat";
  return plan.read(argument as Parameters<PlanBuilder["read"]>[0], node, { kind });
}
