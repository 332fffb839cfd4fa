// Integer matrix product: tiles of six pixels (tile.as.ts) times panels of eight channels, in blocks of tiles that read each
// panel from the first-level cache. V chooses the multiplication. i8: the relaxed adding dot of s8 weights (exact where the
// machine reads activations as u8, or as s8 with flipped storage). i16: the relaxed 16-bit dot widened by a second one, for
// machines that saturate pairs, exact when no pair of products leaves 16 bits. i32: plain SIMD on i16 weights, exact
// everywhere; the pixels of a block of tiles are first widened to i16 rows in scratch memory, which every panel then reads.
// The guarded kernel looks at the activations of each block and takes i16 or i32.
import { finishPanel } from "../shared/product-finish.as";
import {
  ACC_BYTES,
  BOUNDED,
  CHANNELS,
  FLIP,
  GROUP_OTHER,
  GROUP_TILES,
  GROUP_X,
  GROUP_Y,
  OTHER,
  OUT,
  OUT_BYTES,
  OUT_SUM,
  PANEL_BYTES,
  PIX_IN,
  PIX_OUT,
  POST,
  POST_BYTES,
  RUN_BYTES,
  RUN_COUNT,
  RUNS,
  TILE_BLOCK,
  WEIGHTS,
  WIDE_BIAS,
  WIDE_PANEL_BYTES,
  WIDE_WEIGHTS,
} from "./layout";
import { tile } from "./tile.as";

/** One run of bytes as i16, a multiple of 4 of them. */
@inline
function widenRun(x: usize, bytes: usize, s: usize, flip: v128): void {
  const end = x + bytes;
  for (; x + 16 <= end; x += 16) {
    const v = v128.xor(v128.load(x), flip);
    v128.store(s, i16x8.extend_low_i8x16_u(v));
    v128.store(s, i16x8.extend_high_i8x16_u(v), 16);
    s += 32;
  }
  for (; x < end; x += 4) {
    v128.store64_lane(s, i16x8.extend_low_i8x16_u(v128.xor(v128.load32_zero(x), flip)), 0);
    s += 8;
  }
}

/** The bytes x <= p < end or-ed together; a multiple of 4 of them. */
@inline
function union(x: usize, end: usize, any: v128): v128 {
  for (; x + 16 <= end; x += 16) any = v128.or(any, v128.load(x));
  for (; x < end; x += 4) any = v128.or(any, v128.load32_zero(x));
  return any;
}

/** Whether any byte that the pixels of the table entries pi <= p < end read is above 127. */
function exceeds(d: usize, x: usize, pi: usize, end: usize): bool {
  const runs = load<usize>(d, RUNS);
  const runsEnd = runs + (load<usize>(d, RUN_COUNT) << 2);
  const bytes = load<usize>(d, RUN_BYTES);
  for (; pi < end; pi += 4) {
    const pixel = x + load<i32>(pi);
    let any = i8x16.splat(0);
    for (let run = runs; run < runsEnd; run += 4) {
      const p = pixel + load<i32>(run);
      any = union(p, p + bytes, any);
    }
    if (i8x16.bitmask(any) != 0) return true;
  }
  return false;
}

/** The pixels of the table entries pi <= p < end as dense i16 rows at s. */
function widenPixels(d: usize, x: usize, pi: usize, end: usize, s: usize): void {
  const flip = v128.load32_splat(d, FLIP);
  const runs = load<usize>(d, RUNS);
  const runsEnd = runs + (load<usize>(d, RUN_COUNT) << 2);
  const bytes = load<usize>(d, RUN_BYTES);
  for (; pi < end; pi += 4) {
    const pixel = x + load<i32>(pi);
    for (let run = runs; run < runsEnd; run += 4) {
      widenRun(pixel + load<i32>(run), bytes, s, flip);
      s += bytes << 1;
    }
  }
}

/** Tiles first <= t < last, all panels; in plain SIMD x holds their rows one behind the other, in tile order. acc and r: see shared/product-finish.as.ts. */
// prettier-ignore
function panels<V>(d: usize, x: usize, y: usize, r: usize, first: usize, last: usize, acc: usize): void {
  const wide = sizeof<V>() == 4, panelBytes = load<usize>(d, wide ? WIDE_PANEL_BYTES : PANEL_BYTES);
  const runs = load<usize>(d, RUNS), lastRun = wide ? runs : runs + ((load<usize>(d, RUN_COUNT) - 1) << 2), runBytes = wide ? panelBytes >> 3 : load<usize>(d, RUN_BYTES);
  const out = load<i32>(d, OUT), lane = out == OUT_BYTES || out == OUT_SUM ? 0 : 2;
  const isFast = out == OUT_BYTES && load<i32>(d, BOUNDED) != 0 && load<i32>(d, WIDE_BIAS) == 0;
  const table = load<usize>(d, PIX_IN), start = table + first * 24, end = table + last * 24, toOut = load<usize>(d, PIX_OUT) - table;
  if (!wide) x += load<i32>(runs);
  let w = load<usize>(d, wide ? WIDE_WEIGHTS : WEIGHTS), post = load<usize>(d, POST);
  for (let left = load<i32>(d, CHANNELS); left > 0; left -= 8) {
    const n = min(left, 8), raw = isFast && n == 8 ? 0 : acc;
    for (let pi = start; pi < end; pi += 24) {
      let p0: usize, p1: usize, p2: usize, p3: usize, p4: usize, p5: usize;
      if (wide) {
        p0 = x + ((pi - start) >> 2) * runBytes;
        p1 = p0 + runBytes; p2 = p1 + runBytes; p3 = p2 + runBytes; p4 = p3 + runBytes; p5 = p4 + runBytes;
      } else {
        p0 = x + load<i32>(pi); p1 = x + load<i32>(pi, 4); p2 = x + load<i32>(pi, 8);
        p3 = x + load<i32>(pi, 12); p4 = x + load<i32>(pi, 16); p5 = x + load<i32>(pi, 20);
      }
      tile<V>(d, p0, p1, p2, p3, p4, p5, runs, lastRun, runBytes, w, post, y, pi + toOut, raw == 0 ? 0 : raw + ((pi - start) << 3));
    }
    if (raw != 0) finishPanel(d, post, acc, y, r, first, last, n);
    w += panelBytes; post += POST_BYTES; y += 8 << lane; r += 8;
  }
}

/** One block of tiles in plain SIMD: its pixels widened behind the accumulators at acc, then all panels. */
@inline
function wideBlock(d: usize, x: usize, y: usize, r: usize, first: usize, last: usize, acc: usize): void {
  const rows = acc + load<usize>(d, ACC_BYTES);
  const table = load<usize>(d, PIX_IN);
  widenPixels(d, x, table + first * 24, table + last * 24, rows);
  panels<i32>(d, rows, y, r, first, last, acc);
}

/** One block of tiles. G: guarded, by the 16-bit dot where its activations are at most 127, else in plain SIMD. */
@inline
function block<V, G>(d: usize, x: usize, y: usize, r: usize, first: usize, last: usize, acc: usize): void {
  const table = load<usize>(d, PIX_IN);
  if (sizeof<V>() == 4 || (sizeof<G>() == 2 && exceeds(d, x, table + first * 24, table + last * 24)))
    wideBlock(d, x, y, r, first, last, acc);
  else panels<V>(d, x, y, r, first, last, acc);
}

/** Tiles tile0 <= t < tile1 of a descriptor, in blocks that share panels and do not leave their group. G: i16 when guarded. */
@inline
function product<V, G>(d: usize, x: usize, y: usize, tile0: usize, tile1: usize, scratch: usize): void {
  const step = load<usize>(d, TILE_BLOCK);
  const size = load<usize>(d, GROUP_TILES);
  for (let from = tile0; from < tile1; ) {
    const group = from / size;
    const start = group * size;
    const last = min(min(from + step, start + size), tile1);
    const gx = x + group * load<usize>(d, GROUP_X);
    const gy = y + group * load<usize>(d, GROUP_Y);
    const gr = load<usize>(d, OTHER) + group * load<usize>(d, GROUP_OTHER);
    block<V, G>(d, gx, gy, gr, from - start, last - start, scratch);
    from = last;
  }
}

/**
 * y[pixel][channel] = post(start + sum of w * x), tiles tile0 <= t < tile1. y must not overlap x (nor the other operand
 * of a sum); scratch holds the accumulators of one block of tiles that shared/product-finish.as.ts finishes, and behind them,
 * in plain SIMD, its pixels as i16 rows.
 */
export function qgemm_6x8c4__relaxed_dot(d: usize, x: usize, y: usize, tile0: usize, tile1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) product<i8, i8>(d, x, y, tile0, tile1, scratch);
}

/** The same where pairs of products are added in 16 bits. */
export function qgemm_6x8c4__relaxed_i16(d: usize, x: usize, y: usize, tile0: usize, tile1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) product<i16, i8>(d, x, y, tile0, tile1, scratch);
}

/** The same for any activations: by 16-bit pairs while they are at most 127, else in plain SIMD (scratch as below). */
export function qgemm_6x8__guarded_i16(d: usize, x: usize, y: usize, tile0: usize, tile1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) product<i16, i16>(d, x, y, tile0, tile1, scratch);
}

/** The same in plain SIMD; scratch holds the i16 rows of one block of tiles. */
export function qgemm_6x8c2__simd128(d: usize, x: usize, y: usize, tile0: usize, tile1: usize, scratch: usize): void {
  product<i32, i8>(d, x, y, tile0, tile1, scratch);
}
