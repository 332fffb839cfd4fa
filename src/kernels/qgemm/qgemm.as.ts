// Integer matrix product, 6 pixels x 8 channels, four bytes of K a step, unrolled by four steps. V chooses the
// multiplication. i8: the relaxed adding dot of s8 weights (exact where the machine reads activations as
// u8, or as s8 with flipped storage). i16: the relaxed 16-bit dot widened by a second one, for machines that
// saturate pairs, exact when no pair of products leaves 16 bits. i32: plain SIMD on i16 weights, exact
// everywhere; the pixels of a block of tiles are first widened to i16 rows in scratch memory, which
// every panel then reads. Runs too short for the unrolled loop are gathered into dense rows likewise. The
// guarded kernel looks at the activations of each block and takes i16 or i32.
import { bounded16, bounded4, MAGIC, storeRow, wide16 } from "../shared/product-epilogue.as";
import { finishPanel } from "../shared/product-finish.as";
import {
  ACC_BYTES,
  BOUNDED,
  CHANNELS,
  FLIP,
  GATHER,
  GROUP_OTHER,
  GROUP_TILES,
  GROUP_X,
  GROUP_Y,
  HIGH_BYTES,
  LOW_BYTES,
  MAGIC_ZERO,
  NO_OFFSET,
  OTHER,
  OUT,
  OUT_BYTES,
  OUT_F32,
  OUT_SUM,
  PANEL_BYTES,
  PIX_IN,
  PIX_OUT,
  POST,
  POST_BIAS,
  POST_BYTES,
  POST_MULTIPLIER,
  RUN_BYTES,
  RUN_COUNT,
  RUNS,
  TILE_BLOCK,
  WEIGHTS,
  WIDE_BIAS,
  WIDE_PANEL_BYTES,
  WIDE_WEIGHTS,
} from "./layout";

/** acc + four (i32: two) products a lane. `ones` is only read by the 16-bit form. */
@inline
function dot<V>(w: v128, x: v128, acc: v128, ones: v128): v128 {
  if (sizeof<V>() == 4) return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
  if (sizeof<V>() == 1) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x), ones));
}

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

/** The pixels of the table entries pi <= p < end as dense rows of bytes at s; up to 12 bytes behind them are written too. */
function gatherPixels(d: usize, x: usize, pi: usize, end: usize, s: usize): void {
  const runs = load<usize>(d, RUNS);
  const runsEnd = runs + (load<usize>(d, RUN_COUNT) << 2);
  const bytes = load<usize>(d, RUN_BYTES);
  for (; pi < end; pi += 4) {
    const pixel = x + load<i32>(pi);
    for (let run = runs; run < runsEnd; run += 4) {
      let p = pixel + load<i32>(run);
      const stop = s + bytes;
      for (; s < stop; s += 16) {
        v128.store(s, v128.load(p));
        p += 16;
      }
      s = stop;
    }
  }
}

/** One tile: six rows of input from x0..x5 on, output at the table entries po, the 8 channels of one panel; or, when `raw` is not 0, the accumulators there. */
// prettier-ignore
@inline
function tile<V>(d: usize, x0: usize, x1: usize, x2: usize, x3: usize, x4: usize, x5: usize, run: usize, runsEnd: usize, runBytes: usize, y: usize, po: usize, w: usize, post: usize, full: bool, n: i32, raw: usize): void {
  let a0 = v128.load(post), c0 = v128.load(post, 16);
  let a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
  let c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0;
  const ones = i16x8.splat(1);
  for (; run < runsEnd; run += 4) {
    const at = load<i32>(run);
    let p0 = x0 + at, p1 = x1 + at, p2 = x2 + at, p3 = x3 + at, p4 = x4 + at, p5 = x5 + at;
    const end = w + runBytes;
    let b: v128, e: v128, v: v128;
    for (; w + 128 <= end; w += 128) {
      b = v128.load(w); e = v128.load(w, 16);
      v = v128.load32_splat(p0); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones);
      v = v128.load32_splat(p1); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones);
      v = v128.load32_splat(p2); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones);
      v = v128.load32_splat(p3); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones);
      v = v128.load32_splat(p4); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones);
      v = v128.load32_splat(p5); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones);
      b = v128.load(w, 32); e = v128.load(w, 48);
      v = v128.load32_splat(p0, 4); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones);
      v = v128.load32_splat(p1, 4); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones);
      v = v128.load32_splat(p2, 4); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones);
      v = v128.load32_splat(p3, 4); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones);
      v = v128.load32_splat(p4, 4); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones);
      v = v128.load32_splat(p5, 4); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones);
      b = v128.load(w, 64); e = v128.load(w, 80);
      v = v128.load32_splat(p0, 8); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones);
      v = v128.load32_splat(p1, 8); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones);
      v = v128.load32_splat(p2, 8); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones);
      v = v128.load32_splat(p3, 8); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones);
      v = v128.load32_splat(p4, 8); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones);
      v = v128.load32_splat(p5, 8); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones);
      b = v128.load(w, 96); e = v128.load(w, 112);
      v = v128.load32_splat(p0, 12); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones); p0 += 16;
      v = v128.load32_splat(p1, 12); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones); p1 += 16;
      v = v128.load32_splat(p2, 12); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones); p2 += 16;
      v = v128.load32_splat(p3, 12); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones); p3 += 16;
      v = v128.load32_splat(p4, 12); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones); p4 += 16;
      v = v128.load32_splat(p5, 12); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones); p5 += 16;
    }
    for (; w < end; w += 32) {
      b = v128.load(w); e = v128.load(w, 16);
      v = v128.load32_splat(p0); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones); p0 += 4;
      v = v128.load32_splat(p1); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones); p1 += 4;
      v = v128.load32_splat(p2); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones); p2 += 4;
      v = v128.load32_splat(p3); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones); p3 += 4;
      v = v128.load32_splat(p4); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones); p4 += 4;
      v = v128.load32_splat(p5); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones); p5 += 4;
    }
  }
  if (raw != 0) {
    v128.store(raw, a0); v128.store(raw, c0, 16); v128.store(raw, a1, 32); v128.store(raw, c1, 48);
    v128.store(raw, a2, 64); v128.store(raw, c2, 80); v128.store(raw, a3, 96); v128.store(raw, c3, 112);
    v128.store(raw, a4, 128); v128.store(raw, c4, 144); v128.store(raw, a5, 160); v128.store(raw, c5, 176);
    return;
  }
  if (!full) {
    storeRow(d, post, y + load<i32>(po), a0, c0, n);
    storeRow(d, post, y + load<i32>(po, 4), a1, c1, n);
    storeRow(d, post, y + load<i32>(po, 8), a2, c2, n);
    storeRow(d, post, y + load<i32>(po, 12), a3, c3, n);
    storeRow(d, post, y + load<i32>(po, 16), a4, c4, n);
    storeRow(d, post, y + load<i32>(po, 20), a5, c5, n);
    return;
  }
  let u: v128;
  if (load<i32>(d, WIDE_BIAS)) {
    u = wide16(d, post, a0, c0, a1, c1);
    v128.store64_lane(y + load<i32>(po), u, 0);
    v128.store64_lane(y + load<i32>(po, 4), u, 1);
    u = wide16(d, post, a2, c2, a3, c3);
    v128.store64_lane(y + load<i32>(po, 8), u, 0);
    v128.store64_lane(y + load<i32>(po, 12), u, 1);
    u = wide16(d, post, a4, c4, a5, c5);
    v128.store64_lane(y + load<i32>(po, 16), u, 0);
    v128.store64_lane(y + load<i32>(po, 20), u, 1);
    return;
  }
  const s = v128.load(post, POST_BIAS), t = v128.load(post, POST_BIAS + 16);
  const f = v128.load(post, POST_MULTIPLIER), g = v128.load(post, POST_MULTIPLIER + 16);
  const m = f32x4.splat(MAGIC), z = v128.load32_splat(d, MAGIC_ZERO);
  const lo = v128.load32_splat(d, LOW_BYTES), hi = v128.load32_splat(d, HIGH_BYTES), mask = v128.load32_splat(d, FLIP);
  u = bounded16(bounded4(a0, s, f, m, z), bounded4(c0, t, g, m, z), bounded4(a1, s, f, m, z), bounded4(c1, t, g, m, z), lo, hi, mask);
  v128.store64_lane(y + load<i32>(po), u, 0);
  v128.store64_lane(y + load<i32>(po, 4), u, 1);
  u = bounded16(bounded4(a2, s, f, m, z), bounded4(c2, t, g, m, z), bounded4(a3, s, f, m, z), bounded4(c3, t, g, m, z), lo, hi, mask);
  v128.store64_lane(y + load<i32>(po, 8), u, 0);
  v128.store64_lane(y + load<i32>(po, 12), u, 1);
  u = bounded16(bounded4(a4, s, f, m, z), bounded4(c4, t, g, m, z), bounded4(a5, s, f, m, z), bounded4(c5, t, g, m, z), lo, hi, mask);
  v128.store64_lane(y + load<i32>(po, 16), u, 0);
  v128.store64_lane(y + load<i32>(po, 20), u, 1);
}

/** Tiles first <= t < last, all panels. When `dense`, x holds their rows one behind the other, in tile order. acc and r: see shared/product-finish.as.ts. */
// prettier-ignore
function panels<V>(d: usize, x: usize, y: usize, r: usize, first: usize, last: usize, dense: bool, acc: usize): void {
  const wide = sizeof<V>() == 4, panelBytes = load<usize>(d, wide ? WIDE_PANEL_BYTES : PANEL_BYTES), depth = panelBytes >> 3;
  const out = load<i32>(d, OUT), bytes = out == OUT_BYTES, bounded = bytes && load<i32>(d, BOUNDED) != 0, lane = bytes || out == OUT_SUM ? 0 : 2;
  const raw = out > OUT_F32;
  const run = dense ? d + NO_OFFSET : load<usize>(d, RUNS);
  const runsEnd = run + (dense ? 4 : load<usize>(d, RUN_COUNT) << 2), runBytes = dense ? panelBytes : load<usize>(d, RUN_BYTES) << 3;
  let w = load<usize>(d, wide ? WIDE_WEIGHTS : WEIGHTS), post = load<usize>(d, POST);
  for (let left = load<i32>(d, CHANNELS); left > 0; left -= 8) {
    const n = min(left, 8), full = bounded && n == 8;
    let pi = load<usize>(d, PIX_IN) + first * 24, po = load<usize>(d, PIX_OUT) + first * 24, s = x, a = raw ? acc : 0;
    for (let t = first; t < last; t++) {
      let x0 = s, x1 = s + depth, x2 = s + 2 * depth, x3 = s + 3 * depth, x4 = s + 4 * depth, x5 = s + 5 * depth;
      if (!dense) {
        x0 = x + load<i32>(pi); x1 = x + load<i32>(pi, 4); x2 = x + load<i32>(pi, 8);
        x3 = x + load<i32>(pi, 12); x4 = x + load<i32>(pi, 16); x5 = x + load<i32>(pi, 20);
      }
      tile<V>(d, x0, x1, x2, x3, x4, x5, run, runsEnd, runBytes, y, po, w, post, full, n, a);
      s += 6 * depth; pi += 24; po += 24; a += raw ? 192 : 0;
    }
    if (raw) finishPanel(d, post, acc, y, r, first, last, n);
    w += panelBytes; post += POST_BYTES; y += 8 << lane; r += 8;
  }
}

/** One block of tiles: rows made dense where they must be, then all panels. */
@inline
function block<V>(d: usize, x: usize, y: usize, r: usize, first: usize, last: usize, acc: usize): void {
  const scratch = acc + load<usize>(d, ACC_BYTES);
  const table = load<usize>(d, PIX_IN);
  if (sizeof<V>() == 4) {
    widenPixels(d, x, table + first * 24, table + last * 24, scratch);
    panels<V>(d, scratch, y, r, first, last, true, acc);
  } else if (load<i32>(d, GATHER)) {
    gatherPixels(d, x, table + first * 24, table + last * 24, scratch);
    panels<V>(d, scratch, y, r, first, last, true, acc);
  } else {
    panels<V>(d, x, y, r, first, last, false, acc);
  }
}

/** One block of tiles by the 16-bit dot where its activations are at most 127, else in plain SIMD. */
@inline
function guardedBlock(d: usize, x: usize, y: usize, r: usize, first: usize, last: usize, acc: usize): void {
  const scratch = acc + load<usize>(d, ACC_BYTES);
  const pi = load<usize>(d, PIX_IN) + first * 24;
  const end = pi + (last - first) * 24;
  const gather = load<i32>(d, GATHER) != 0;
  let high = false;
  if (gather) {
    gatherPixels(d, x, pi, end, scratch);
    const size = ((end - pi) >> 2) * (load<usize>(d, PANEL_BYTES) >> 3);
    high = i8x16.bitmask(union(scratch, scratch + size, i8x16.splat(0))) != 0;
  } else {
    high = exceeds(d, x, pi, end);
  }
  if (high) {
    widenPixels(d, x, pi, end, scratch);
    panels<i32>(d, scratch, y, r, first, last, true, acc);
  } else {
    panels<i16>(d, gather ? scratch : x, y, r, first, last, gather, acc);
  }
}

/** Tiles tile0 <= t < tile1 of a descriptor, in blocks that share panels and do not leave their group. G: guarded. */
@inline
function product<V, G>(d: usize, x: usize, y: usize, tile0: usize, tile1: usize, scratch: usize): void {
  const step = load<usize>(d, TILE_BLOCK);
  const size = load<usize>(d, GROUP_TILES);
  for (let tile = tile0; tile < tile1; ) {
    const group = tile / size;
    const start = group * size;
    const last = min(min(tile + step, start + size), tile1);
    const gx = x + group * load<usize>(d, GROUP_X);
    const gy = y + group * load<usize>(d, GROUP_Y);
    const gr = load<usize>(d, OTHER) + group * load<usize>(d, GROUP_OTHER);
    if (sizeof<G>() == 1) block<V>(d, gx, gy, gr, tile - start, last - start, scratch);
    else guardedBlock(d, gx, gy, gr, tile - start, last - start, scratch);
    tile = last;
  }
}

/**
 * y[pixel][channel] = post(start + sum of w * x), tiles tile0 <= t < tile1. y must not overlap x (nor the other operand
 * of a sum); scratch holds the accumulators of one block of tiles where shared/product-finish.as.ts makes the output, and behind
 * them its rows when they are gathered.
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
