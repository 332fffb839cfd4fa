/** Lines of elementwise steps, enough of them for threads to share. */

import type { Buffer } from "../../buffer.ts";
import type { Place } from "../../plan.ts";
import { rowBlocks } from "../../rows.ts";
import { constantI32 } from "../../steps/conv.ts";
import type { Lines } from "../../steps/elementwise.ts";

const FLOAT = 4;

/** All rows of all buffers, which have one shape; where everything is one row, it is cut into one an image. */
export function sharedLines(place: Place, buffers: readonly Buffer[]): Lines {
  const blocks = rowBlocks(buffers);
  const length = blocks[0]?.count ?? 0;
  const rows = blocks.reduce((sum, block) => sum + block.rows, 0);
  const images = buffers[0]!.type.shape[0] ?? 1;
  const pieces = rows === 1 && images > 1 && length % images === 0 ? images : 1;
  const piece = length / pieces;
  const tables = buffers.map((_, which) => {
    const starts = blocks.flatMap(({ rows: count, offsets, strides }) =>
      Array.from({ length: count }, (__, row) => offsets[which]! + row * strides[which]!),
    );
    const cut = starts.flatMap((start) => Array.from({ length: pieces }, (__, i) => start + i * piece * FLOAT));
    return constantI32(place, cut);
  });
  return { count: rows * pieces, length: piece, tables };
}
