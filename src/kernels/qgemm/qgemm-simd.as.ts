// Integer matrix product in plain SIMD: weights widened to 16 bits when packed (with their zero point
// taken off), each group of four k split into even and odd; activations are split by mask and shift.
// Exact for every u8 activation and every weight within 16 bits that keeps pairs within 32, on every
// machine. Same descriptor, tile and epilogue as the dot product form.
import { bounded16, bounded4, MAGIC, storeRow, wide16 } from "../shared/product-epilogue.as";
import {
  BOUNDED,
  CHANNELS,
  FLIP,
  HIGH_BYTES,
  LOW_BYTES,
  MAGIC_ZERO,
  OUT,
  OUT_BYTES,
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
} from "./layout";

/** One tile: pixels of the table entries at pi/po, the 8 channels of one panel. */
// prettier-ignore
@inline
function tile(d: usize, x: usize, y: usize, pi: usize, po: usize, w: usize, post: usize, full: bool, n: i32): void {
  const x0 = x + load<i32>(pi), x1 = x + load<i32>(pi, 4), x2 = x + load<i32>(pi, 8);
  const x3 = x + load<i32>(pi, 12), x4 = x + load<i32>(pi, 16), x5 = x + load<i32>(pi, 20);
  let a0 = v128.load(post), c0 = v128.load(post, 16);
  let a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
  let c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0;
  const even = i16x8.splat(255), flip = v128.load32_splat(d, FLIP);
  let run = load<usize>(d, RUNS);
  const runsEnd = run + (load<usize>(d, RUN_COUNT) << 2);
  const runBytes = load<usize>(d, RUN_BYTES) << 4;
  for (; run < runsEnd; run += 4) {
    const at = load<i32>(run);
    let p0 = x0 + at, p1 = x1 + at, p2 = x2 + at, p3 = x3 + at, p4 = x4 + at, p5 = x5 + at;
    const end = w + runBytes;
    let b: v128, e: v128, v: v128;
    for (; w + 128 <= end; w += 128) {
      b = v128.load(w); e = v128.load(w, 16);
      v = v128.and(v128.xor(v128.load32_splat(p0), flip), even); a0 = i32x4.add(a0, i32x4.dot_i16x8_s(b, v)); c0 = i32x4.add(c0, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p1), flip), even); a1 = i32x4.add(a1, i32x4.dot_i16x8_s(b, v)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p2), flip), even); a2 = i32x4.add(a2, i32x4.dot_i16x8_s(b, v)); c2 = i32x4.add(c2, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p3), flip), even); a3 = i32x4.add(a3, i32x4.dot_i16x8_s(b, v)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p4), flip), even); a4 = i32x4.add(a4, i32x4.dot_i16x8_s(b, v)); c4 = i32x4.add(c4, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p5), flip), even); a5 = i32x4.add(a5, i32x4.dot_i16x8_s(b, v)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(e, v));
      b = v128.load(w, 32); e = v128.load(w, 48);
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p0), flip), 8); a0 = i32x4.add(a0, i32x4.dot_i16x8_s(b, v)); c0 = i32x4.add(c0, i32x4.dot_i16x8_s(e, v));
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p1), flip), 8); a1 = i32x4.add(a1, i32x4.dot_i16x8_s(b, v)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(e, v));
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p2), flip), 8); a2 = i32x4.add(a2, i32x4.dot_i16x8_s(b, v)); c2 = i32x4.add(c2, i32x4.dot_i16x8_s(e, v));
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p3), flip), 8); a3 = i32x4.add(a3, i32x4.dot_i16x8_s(b, v)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(e, v));
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p4), flip), 8); a4 = i32x4.add(a4, i32x4.dot_i16x8_s(b, v)); c4 = i32x4.add(c4, i32x4.dot_i16x8_s(e, v));
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p5), flip), 8); a5 = i32x4.add(a5, i32x4.dot_i16x8_s(b, v)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(e, v));
      b = v128.load(w, 64); e = v128.load(w, 80);
      v = v128.and(v128.xor(v128.load32_splat(p0, 4), flip), even); a0 = i32x4.add(a0, i32x4.dot_i16x8_s(b, v)); c0 = i32x4.add(c0, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p1, 4), flip), even); a1 = i32x4.add(a1, i32x4.dot_i16x8_s(b, v)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p2, 4), flip), even); a2 = i32x4.add(a2, i32x4.dot_i16x8_s(b, v)); c2 = i32x4.add(c2, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p3, 4), flip), even); a3 = i32x4.add(a3, i32x4.dot_i16x8_s(b, v)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p4, 4), flip), even); a4 = i32x4.add(a4, i32x4.dot_i16x8_s(b, v)); c4 = i32x4.add(c4, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p5, 4), flip), even); a5 = i32x4.add(a5, i32x4.dot_i16x8_s(b, v)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(e, v));
      b = v128.load(w, 96); e = v128.load(w, 112);
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p0, 4), flip), 8); a0 = i32x4.add(a0, i32x4.dot_i16x8_s(b, v)); c0 = i32x4.add(c0, i32x4.dot_i16x8_s(e, v)); p0 += 8;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p1, 4), flip), 8); a1 = i32x4.add(a1, i32x4.dot_i16x8_s(b, v)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(e, v)); p1 += 8;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p2, 4), flip), 8); a2 = i32x4.add(a2, i32x4.dot_i16x8_s(b, v)); c2 = i32x4.add(c2, i32x4.dot_i16x8_s(e, v)); p2 += 8;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p3, 4), flip), 8); a3 = i32x4.add(a3, i32x4.dot_i16x8_s(b, v)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(e, v)); p3 += 8;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p4, 4), flip), 8); a4 = i32x4.add(a4, i32x4.dot_i16x8_s(b, v)); c4 = i32x4.add(c4, i32x4.dot_i16x8_s(e, v)); p4 += 8;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p5, 4), flip), 8); a5 = i32x4.add(a5, i32x4.dot_i16x8_s(b, v)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(e, v)); p5 += 8;
    }
    for (; w < end; w += 64) {
      b = v128.load(w); e = v128.load(w, 16);
      v = v128.and(v128.xor(v128.load32_splat(p0), flip), even); a0 = i32x4.add(a0, i32x4.dot_i16x8_s(b, v)); c0 = i32x4.add(c0, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p1), flip), even); a1 = i32x4.add(a1, i32x4.dot_i16x8_s(b, v)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p2), flip), even); a2 = i32x4.add(a2, i32x4.dot_i16x8_s(b, v)); c2 = i32x4.add(c2, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p3), flip), even); a3 = i32x4.add(a3, i32x4.dot_i16x8_s(b, v)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p4), flip), even); a4 = i32x4.add(a4, i32x4.dot_i16x8_s(b, v)); c4 = i32x4.add(c4, i32x4.dot_i16x8_s(e, v));
      v = v128.and(v128.xor(v128.load32_splat(p5), flip), even); a5 = i32x4.add(a5, i32x4.dot_i16x8_s(b, v)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(e, v));
      b = v128.load(w, 32); e = v128.load(w, 48);
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p0), flip), 8); a0 = i32x4.add(a0, i32x4.dot_i16x8_s(b, v)); c0 = i32x4.add(c0, i32x4.dot_i16x8_s(e, v)); p0 += 4;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p1), flip), 8); a1 = i32x4.add(a1, i32x4.dot_i16x8_s(b, v)); c1 = i32x4.add(c1, i32x4.dot_i16x8_s(e, v)); p1 += 4;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p2), flip), 8); a2 = i32x4.add(a2, i32x4.dot_i16x8_s(b, v)); c2 = i32x4.add(c2, i32x4.dot_i16x8_s(e, v)); p2 += 4;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p3), flip), 8); a3 = i32x4.add(a3, i32x4.dot_i16x8_s(b, v)); c3 = i32x4.add(c3, i32x4.dot_i16x8_s(e, v)); p3 += 4;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p4), flip), 8); a4 = i32x4.add(a4, i32x4.dot_i16x8_s(b, v)); c4 = i32x4.add(c4, i32x4.dot_i16x8_s(e, v)); p4 += 4;
      v = i16x8.shr_u(v128.xor(v128.load32_splat(p5), flip), 8); a5 = i32x4.add(a5, i32x4.dot_i16x8_s(b, v)); c5 = i32x4.add(c5, i32x4.dot_i16x8_s(e, v)); p5 += 4;
    }
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

/** y[pixel][channel] = post(start + sum of w * x), tiles tile0 <= t < tile1. y must not overlap x. */
export function qgemm_6x8c2__simd128(d: usize, x: usize, y: usize, tile0: usize, tile1: usize): void {
  const panelBytes = load<usize>(d, PANEL_BYTES);
  const block = load<usize>(d, TILE_BLOCK);
  const bytes = load<i32>(d, OUT) == OUT_BYTES;
  const bounded = bytes && load<i32>(d, BOUNDED) != 0;
  const lane = bytes ? 0 : 2;
  for (let first = tile0; first < tile1; first += block) {
    const last = min(first + block, tile1);
    let w = load<usize>(d, WEIGHTS);
    let post = load<usize>(d, POST);
    let yp = y;
    for (let left = load<i32>(d, CHANNELS); left > 0; left -= 8) {
      const n = min(left, 8);
      const full = bounded && n == 8;
      let pi = load<usize>(d, PIX_IN) + first * 24;
      let po = load<usize>(d, PIX_OUT) + first * 24;
      for (let t = first; t < last; t++) {
        tile(d, x, yp, pi, po, w, post, full, n);
        pi += 24;
        po += 24;
      }
      w += panelBytes;
      post += POST_BYTES;
      yp += 8 << lane;
    }
  }
}

