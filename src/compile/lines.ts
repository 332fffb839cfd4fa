/**
 * Lines of elementwise kernels: all rows of all blocks as one table of byte offsets a buffer, placed among the plan's
 * constants. Kernels are shared among threads by lines.
 */

import type { Buffer } from "./buffer.ts";
import { elementBytes } from "./form.ts";
import type { Place } from "./plan.ts";
import { rowBlocks } from "./rows.ts";
import { constantI32 } from "./steps/conv.ts";

/** How many lines, their length in elements, and the address of each buffer's table. */
export interface Lines {
  readonly count: number;
  readonly length: number;
  readonly tables: readonly number[];
}

/** The argument by which a kernel's lines are shared among threads. */
export const LINES = { at: 0, unit: 1 };
/** What an element costs, in the multiplications and additions of a product that take as long: moving it costs most. */
export const ELEMENT_WORK = 8;

interface Starts {
  readonly length: number;
  /** Byte offsets of the lines, one list a buffer. */
  readonly starts: readonly (readonly number[])[];
}

function startsOf(buffers: readonly Buffer[]): Starts {
  const blocks = rowBlocks(buffers);
  const starts = buffers.map((_, which) =>
    blocks.flatMap(({ rows, offsets, strides }) =>
      Array.from({ length: rows }, (__, row) => offsets[which]! + row * strides[which]!),
    ),
  );
  return { length: blocks[0]?.count ?? 0, starts };
}

/** Where everything is one line, one an image, for threads to share. */
function cutByImage(buffers: readonly Buffer[], { length, starts }: Starts): Starts {
  const images = buffers[0]!.type.shape[0] ?? 1;
  const pieces = starts[0]!.length === 1 && images > 1 && length % images === 0 ? images : 1;
  const piece = length / pieces;
  const cut = starts.map((own, which) =>
    own.flatMap((start) =>
      Array.from({ length: pieces }, (_, i) => start + i * piece * elementBytes(buffers[which]!.element)),
    ),
  );
  return { length: piece, starts: cut };
}

function placed(place: Place, { length, starts }: Starts): Lines {
  return { count: starts[0]!.length, length, tables: starts.map((own) => constantI32(place, own)) };
}

/** Lines as long as they can be, of buffers with one shape in like forms. */
export function linesOf(place: Place, buffers: readonly Buffer[]): Lines {
  return placed(place, startsOf(buffers));
}

/**
 * From the last image to the first: what a step before has written last is still in the cache. Lines of an image stay in
 * their order, along which processors fetch ahead.
 */
export function lastImageFirst(starts: readonly number[], images: number): number[] {
  const perImage = starts.length / images;
  return starts.map((_, i) => starts[(images - 1 - Math.floor(i / perImage)) * perImage + (i % perImage)]!);
}

/** Lines enough for threads to share; `lastFirst`: those of the last image first. */
export function sharedLines(place: Place, buffers: readonly Buffer[], { lastFirst = false } = {}): Lines {
  const { length, starts } = cutByImage(buffers, startsOf(buffers));
  const images = buffers[0]!.type.shape[0] ?? 1;
  const isWhole = starts[0]!.length % images === 0;
  return placed(place, {
    length,
    starts: lastFirst && isWhole ? starts.map((own) => lastImageFirst(own, images)) : starts,
  });
}
