/**
 * Products of float matrices: one side packed in panels, the other read row by row wherever its rows lie. Long sums are cut
 * into blocks that keep a panel in the first-level cache; running sums go through the result, so cutting changes no bit.
 */

import { K_BLOCK, MATRIX_ROWS, PANEL, TILE_ROWS } from "../../kernels/f32-gemm/tile.ts";
import type { Place } from "../plan.ts";
import type { Range } from "./clamps.ts";
import { constantI32 } from "./conv.ts";

const FLOAT = 4;

/** A matrix [k, n] somewhere in memory; strides in elements. */
export interface Columns {
  readonly k: number;
  readonly n: number;
  readonly kStride: number;
  readonly nStride: number;
}

function panelBytes(k: number): number {
  return k * PANEL * FLOAT;
}

/** Columns rounded up to whole panels. */
export function paddedColumns(n: number): number {
  return Math.ceil(n / PANEL) * PANEL;
}

/** Room for packed columns. */
export function packedRoom({ constant }: Place, { k, n }: Columns): number {
  return constant((paddedColumns(n) / PANEL) * panelBytes(k));
}

/** Packs the matrix at `source`. */
export function packColumns({ engine }: Place, columns: Columns, source: number, packed: number): void {
  const { k, n, kStride, nStride } = columns;
  engine.kernels.f32_pack(k, n, source, kStride * FLOAT, nStride * FLOAT, panelBytes(k), packed);
}

/** Rows of k numbers, times columns packed, to rows of n numbers; offsets in elements. */
export interface Rows {
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly k: number;
  readonly n: number;
  /** What results are limited to. */
  readonly range: Range;
}

/** Addresses of the rows' base, of packed columns, of what sums start with (padded columns), and of the results' base. */
export type MultiplyCall = (a: number, packed: number, init: number, y: number) => void;

/** The call that multiplies rows, shared among threads. */
export function bindMultiply(place: Place, { from, to, k, n, range }: Rows): MultiplyCall {
  const { engine } = place;
  const m = from.length;
  const bytes = panelBytes(k);
  if (m === 1) {
    const [first, result] = [from[0]! * FLOAT, to[0]! * FLOAT];
    return (a, packed, init, y) =>
      engine.kernels.f32_gemv_1x48(a + first, k, packed, bytes, init, y + result, n, range.low, range.high);
  }
  const table = (offsets: readonly number[]): number =>
    constantI32(
      place,
      offsets.map((offset) => offset * FLOAT),
    );
  const [rows, out, tap] = [table(from), table(to), constantI32(place, [0])];
  const split = { at: 0, unit: TILE_ROWS };
  return (a, packed, init, y) => {
    for (let start = 0; start === 0 || start < k; start += K_BLOCK) {
      const run = Math.min(K_BLOCK, k - start);
      const isLast = start + K_BLOCK >= k;
      engine.share("f32_gemm_6x8", [
        0, m, rows, out, a + start * FLOAT, 1, tap, run, packed + start * PANEL * FLOAT, bytes, init, start > 0 ? 1 : 0, y, n,
        isLast ? range.low : -Infinity, isLast ? range.high : Infinity, MATRIX_ROWS,
      ], split, 2 * m * run * n); // prettier-ignore
    }
  };
}
