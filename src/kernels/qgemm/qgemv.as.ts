// Integer matrix product with one row: no row to share weights with, so six panels are read at once to
// keep twelve independent accumulators, and the speed is that of reading the weights. Same
// descriptor, packing and epilogue as the 6 x 8 kernels; V chooses the multiplication (i8: adding
// relaxed dot, i16: widened relaxed dot, i32: plain SIMD with 16-bit weights).
import { bounded16, bounded4, MAGIC, storeRow } from "../shared/product-epilogue.as";
import { BOUNDED, CHANNELS, FLIP, HIGH_BYTES, LOW_BYTES, MAGIC_ZERO, OUT, OUT_BYTES, PANEL_BYTES, PIX_IN, PIX_OUT, POST, POST_BIAS, POST_BYTES, POST_MULTIPLIER, RUN_BYTES, RUN_COUNT, RUNS, WEIGHTS, WIDE_BIAS, WIDE_PANEL_BYTES, WIDE_WEIGHTS } from "./layout";

/** Bytes of packed weights of one step (8 channels, 4 k). */
@inline
function stepBytes<V>(): usize {
  return sizeof<V>() == 4 ? 64 : 32;
}

/** Four stored bytes in every lane, as this multiplication reads them: plain SIMD wants them unsigned. */
@inline
function load4<V>(p: usize, flip: v128): v128 {
  const v = v128.load32_splat(p);
  return sizeof<V>() == 4 ? v128.xor(v, flip) : v;
}

/** Bytes 2 * half and the next as i16 in every lane, for plain SIMD. */
@inline
function pair<V>(v: v128, half: i32): v128 {
  if (sizeof<V>() != 4) return v;
  const words = i16x8.extend_low_i8x16_u(v);
  return half == 0 ? i32x4.shuffle(words, words, 0, 0, 0, 0) : i32x4.shuffle(words, words, 1, 1, 1, 1);
}

/**
 * acc + the four products of a lane: weights u, in plain SIMD of the first two k, then w of the others. Callers load them
 * by immediate offsets, since an address that is computed costs an instruction each time.
 */
@inline
function dot<V>(u: v128, w: v128, v: v128, first: v128, second: v128, ones: v128, acc: v128): v128 {
  if (sizeof<V>() == 1) return i32x4.relaxed_dot_i8x16_i7x16_add_s(u, v, acc);
  if (sizeof<V>() == 2) return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(u, v), ones));
  return i32x4.add(i32x4.add(acc, i32x4.dot_i16x8_s(u, first)), i32x4.dot_i16x8_s(w, second));
}

/** Stored bytes of two panels, one behind the other. */
// prettier-ignore
@inline
function twoPanels(post: usize, a: v128, c: v128, e: v128, g: v128, m: v128, z: v128, lo: v128, hi: v128, flip: v128): v128 {
  return bounded16(
    bounded4(a, v128.load(post, POST_BIAS), v128.load(post, POST_MULTIPLIER), m, z),
    bounded4(c, v128.load(post, POST_BIAS + 16), v128.load(post, POST_MULTIPLIER + 16), m, z),
    bounded4(e, v128.load(post, POST_BYTES + POST_BIAS), v128.load(post, POST_BYTES + POST_MULTIPLIER), m, z),
    bounded4(g, v128.load(post, POST_BYTES + POST_BIAS + 16), v128.load(post, POST_BYTES + POST_MULTIPLIER + 16), m, z),
    lo, hi, flip,
  );
}

/** Six panels from w and post on, all full or the last partial with n channels. */
// prettier-ignore
function sixPanels<V>(d: usize, x: usize, y: usize, w: usize, post: usize, n: i32, lane: usize): void {
  const size = load<usize>(d, sizeof<V>() == 4 ? WIDE_PANEL_BYTES : PANEL_BYTES), step = stepBytes<V>();
  let w1 = w + size, w2 = w1 + size, w3 = w2 + size, w4 = w3 + size, w5 = w4 + size;
  let a0 = v128.load(post), c0 = v128.load(post, 16);
  let a1 = v128.load(post, POST_BYTES), c1 = v128.load(post, POST_BYTES + 16);
  let a2 = v128.load(post, 2 * POST_BYTES), c2 = v128.load(post, 2 * POST_BYTES + 16);
  let a3 = v128.load(post, 3 * POST_BYTES), c3 = v128.load(post, 3 * POST_BYTES + 16);
  let a4 = v128.load(post, 4 * POST_BYTES), c4 = v128.load(post, 4 * POST_BYTES + 16);
  let a5 = v128.load(post, 5 * POST_BYTES), c5 = v128.load(post, 5 * POST_BYTES + 16);
  const ones = i16x8.splat(1), flip = v128.load32_splat(d, FLIP);
  let run = load<usize>(d, RUNS);
  const runsEnd = run + (load<usize>(d, RUN_COUNT) << 2), runBytes = load<usize>(d, RUN_BYTES);
  for (; run < runsEnd; run += 4) {
    let p = x + load<i32>(run);
    const end = p + runBytes;
    for (; p < end; p += 4) {
      const v = load4<V>(p, flip), even = pair<V>(v, 0), odd = pair<V>(v, 1);
      a0 = dot<V>(v128.load(w, 0), sizeof<V>() == 4 ? v128.load(w, 32) : ones, v, even, odd, ones, a0); c0 = dot<V>(v128.load(w, 16), sizeof<V>() == 4 ? v128.load(w, 48) : ones, v, even, odd, ones, c0); w += step;
      a1 = dot<V>(v128.load(w1, 0), sizeof<V>() == 4 ? v128.load(w1, 32) : ones, v, even, odd, ones, a1); c1 = dot<V>(v128.load(w1, 16), sizeof<V>() == 4 ? v128.load(w1, 48) : ones, v, even, odd, ones, c1); w1 += step;
      a2 = dot<V>(v128.load(w2, 0), sizeof<V>() == 4 ? v128.load(w2, 32) : ones, v, even, odd, ones, a2); c2 = dot<V>(v128.load(w2, 16), sizeof<V>() == 4 ? v128.load(w2, 48) : ones, v, even, odd, ones, c2); w2 += step;
      a3 = dot<V>(v128.load(w3, 0), sizeof<V>() == 4 ? v128.load(w3, 32) : ones, v, even, odd, ones, a3); c3 = dot<V>(v128.load(w3, 16), sizeof<V>() == 4 ? v128.load(w3, 48) : ones, v, even, odd, ones, c3); w3 += step;
      a4 = dot<V>(v128.load(w4, 0), sizeof<V>() == 4 ? v128.load(w4, 32) : ones, v, even, odd, ones, a4); c4 = dot<V>(v128.load(w4, 16), sizeof<V>() == 4 ? v128.load(w4, 48) : ones, v, even, odd, ones, c4); w4 += step;
      a5 = dot<V>(v128.load(w5, 0), sizeof<V>() == 4 ? v128.load(w5, 32) : ones, v, even, odd, ones, a5); c5 = dot<V>(v128.load(w5, 16), sizeof<V>() == 4 ? v128.load(w5, 48) : ones, v, even, odd, ones, c5); w5 += step;
    }
  }
  if (n == 8 && load<i32>(d, BOUNDED) != 0 && load<i32>(d, WIDE_BIAS) == 0 && load<i32>(d, OUT) == OUT_BYTES) {
    const m = f32x4.splat(MAGIC), z = v128.load32_splat(d, MAGIC_ZERO);
    const lo = v128.load32_splat(d, LOW_BYTES), hi = v128.load32_splat(d, HIGH_BYTES);
    v128.store(y, twoPanels(post, a0, c0, a1, c1, m, z, lo, hi, flip));
    v128.store(y, twoPanels(post + 2 * POST_BYTES, a2, c2, a3, c3, m, z, lo, hi, flip), 16);
    v128.store(y, twoPanels(post + 4 * POST_BYTES, a4, c4, a5, c5, m, z, lo, hi, flip), 32);
    return;
  }
  const jump = <usize>8 << lane;
  storeRow(d, post, y, a0, c0, 8);
  storeRow(d, post + POST_BYTES, y + jump, a1, c1, 8);
  storeRow(d, post + 2 * POST_BYTES, y + 2 * jump, a2, c2, 8);
  storeRow(d, post + 3 * POST_BYTES, y + 3 * jump, a3, c3, 8);
  storeRow(d, post + 4 * POST_BYTES, y + 4 * jump, a4, c4, 8);
  storeRow(d, post + 5 * POST_BYTES, y + 5 * jump, a5, c5, n);
}

/** One panel, where there are fewer than six. */
function onePanel<V>(d: usize, x: usize, y: usize, w: usize, post: usize, n: i32): void {
  let a = v128.load(post);
  let c = v128.load(post, 16);
  const ones = i16x8.splat(1);
  const flip = v128.load32_splat(d, FLIP);
  let run = load<usize>(d, RUNS);
  const runsEnd = run + (load<usize>(d, RUN_COUNT) << 2);
  const runBytes = load<usize>(d, RUN_BYTES);
  for (; run < runsEnd; run += 4) {
    let p = x + load<i32>(run);
    for (const end = p + runBytes; p < end; p += 4) {
      const v = load4<V>(p, flip);
      const even = pair<V>(v, 0);
      const odd = pair<V>(v, 1);
      a = dot<V>(v128.load(w), sizeof<V>() == 4 ? v128.load(w, 32) : ones, v, even, odd, ones, a);
      c = dot<V>(v128.load(w, 16), sizeof<V>() == 4 ? v128.load(w, 48) : ones, v, even, odd, ones, c);
      w += stepBytes<V>();
    }
  }
  storeRow(d, post, y, a, c, n);
}

/** Whether any input byte of pixel 0 is above 127. */
function exceeds(d: usize, x: usize): bool {
  let run = load<usize>(d, RUNS);
  const runsEnd = run + (load<usize>(d, RUN_COUNT) << 2);
  const bytes = load<usize>(d, RUN_BYTES);
  x += load<i32>(load<usize>(d, PIX_IN));
  let any = i8x16.splat(0);
  for (; run < runsEnd; run += 4) {
    let p = x + load<i32>(run);
    const last = p + bytes;
    for (; p + 16 <= last; p += 16) any = v128.or(any, v128.load(p));
    for (; p < last; p += 4) any = v128.or(any, v128.load32_zero(p));
  }
  return i8x16.bitmask(any) != 0;
}

/** Pixel 0 of a descriptor, panels panel0 <= p < panel1. */
@inline
function row<V>(d: usize, x: usize, y: usize, panel0: usize, panel1: usize): void {
  const lane: usize = load<i32>(d, OUT) == OUT_BYTES ? 0 : 2;
  const size = load<usize>(d, sizeof<V>() == 4 ? WIDE_PANEL_BYTES : PANEL_BYTES);
  let w = load<usize>(d, sizeof<V>() == 4 ? WIDE_WEIGHTS : WEIGHTS) + panel0 * size;
  let post = load<usize>(d, POST) + panel0 * POST_BYTES;
  x += load<i32>(load<usize>(d, PIX_IN));
  y += load<i32>(load<usize>(d, PIX_OUT)) + ((panel0 * 8) << lane);
  const channels = load<i32>(d, CHANNELS);
  let panel = panel0;
  for (; panel + 6 <= panel1 || (panel < panel1 && panel1 >= panel0 + 6); panel += 6) {
    if (panel + 6 > panel1) {
      // What is left over of sixes is done with the panels before it.
      const back = panel + 6 - panel1;
      panel -= back;
      w -= back * size;
      post -= back * POST_BYTES;
      y -= (back * 8) << lane;
    }
    sixPanels<V>(d, x, y, w, post, min(8, channels - <i32>panel * 8 - 40), lane);
    w += 6 * size;
    post += 6 * POST_BYTES;
    y += 48 << lane;
  }
  for (; panel < panel1; panel++) {
    onePanel<V>(d, x, y, w, post, min(8, channels - <i32>panel * 8));
    w += size;
    post += POST_BYTES;
    y += 8 << lane;
  }
}

/** y[channel] = post(start + sum of w * x) of a one-pixel descriptor, panels panel0 <= p < panel1. scratch is not used. */
export function qgemv_1x48c4__relaxed_dot(d: usize, x: usize, y: usize, panel0: usize, panel1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) row<i8>(d, x, y, panel0, panel1);
}

/** The same where pairs of products are added in 16 bits. */
export function qgemv_1x48c4__relaxed_i16(d: usize, x: usize, y: usize, panel0: usize, panel1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) row<i16>(d, x, y, panel0, panel1);
}

/** The same for any activations: by 16-bit pairs if they are at most 127, else in plain SIMD. */
export function qgemv_1x48__guarded_i16(d: usize, x: usize, y: usize, panel0: usize, panel1: usize, scratch: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (exceeds(d, x)) row<i32>(d, x, y, panel0, panel1);
    else row<i16>(d, x, y, panel0, panel1);
  }
}

/** The same in plain SIMD, weights of 16 bits. */
export function qgemv_1x48c2__simd128(d: usize, x: usize, y: usize, panel0: usize, panel1: usize, scratch: usize): void {
  row<i32>(d, x, y, panel0, panel1);
}
