// The register tile of the integer matrix product: six pixels by eight channels. Twelve sums, two vectors of weights and one
// of activations are what the registers hold. A step takes four bytes of K; the adding dot is unrolled by eight steps, the
// others by four. Every instruction that is no product counts: where sums are short, the ends of a tile cost as much as
// its products, so the commonest ends (no bias left to add, no limits but a byte's) are shorter.
import { bounded4, bytes16, limited16, MAGIC, plain4 } from "../shared/product-epilogue.as";
import { FLIP, HAS_BIAS, HAS_LIMITS, HIGH_BYTES, LOW_BYTES, MAGIC_ZERO, POST_BIAS, POST_MULTIPLIER } from "./layout";

/** acc + four (i32: two) products a lane. `ones` is only read by the 16-bit form. */
@inline
function dot<V>(w: v128, x: v128, acc: v128, ones: v128): v128 {
  if (sizeof<V>() == 4) return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
  if (sizeof<V>() == 1) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, x), ones));
}

/**
 * One tile: the runs of six pixels whose first ones begin at p0..p5, weights of one panel from w on. Its bytes go to y plus
 * the six table entries at po; or, when `raw` is not 0, its accumulators there. V: see qgemm.as.ts; in plain SIMD there is
 * one run. Nothing is called here: what is held in registers across a call would be stored after every run.
 */
// prettier-ignore
@inline
export function tile<V>(d: usize, p0: usize, p1: usize, p2: usize, p3: usize, p4: usize, p5: usize, run: usize, lastRun: usize, runBytes: usize, w: usize, post: usize, y: usize, po: usize, raw: usize): void {
  let a0 = v128.load(post), c0 = v128.load(post, 16);
  let a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
  let c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0;
  const ones = i16x8.splat(1), runWeights = runBytes << 3;
  let b: v128, e: v128, v: v128;
  for (;;) {
    const end = w + runWeights;
    if (sizeof<V>() == 1 && runWeights >= 256) {
      const whole = w + (runWeights & -256);
      do {
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
        v = v128.load32_splat(p0, 12); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones);
        v = v128.load32_splat(p1, 12); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones);
        v = v128.load32_splat(p2, 12); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones);
        v = v128.load32_splat(p3, 12); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones);
        v = v128.load32_splat(p4, 12); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones);
        v = v128.load32_splat(p5, 12); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones);
        b = v128.load(w, 128); e = v128.load(w, 144);
        v = v128.load32_splat(p0, 16); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones);
        v = v128.load32_splat(p1, 16); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones);
        v = v128.load32_splat(p2, 16); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones);
        v = v128.load32_splat(p3, 16); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones);
        v = v128.load32_splat(p4, 16); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones);
        v = v128.load32_splat(p5, 16); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones);
        b = v128.load(w, 160); e = v128.load(w, 176);
        v = v128.load32_splat(p0, 20); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones);
        v = v128.load32_splat(p1, 20); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones);
        v = v128.load32_splat(p2, 20); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones);
        v = v128.load32_splat(p3, 20); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones);
        v = v128.load32_splat(p4, 20); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones);
        v = v128.load32_splat(p5, 20); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones);
        b = v128.load(w, 192); e = v128.load(w, 208);
        v = v128.load32_splat(p0, 24); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones);
        v = v128.load32_splat(p1, 24); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones);
        v = v128.load32_splat(p2, 24); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones);
        v = v128.load32_splat(p3, 24); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones);
        v = v128.load32_splat(p4, 24); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones);
        v = v128.load32_splat(p5, 24); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones);
        b = v128.load(w, 224); e = v128.load(w, 240);
        v = v128.load32_splat(p0, 28); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones); p0 += 32;
        v = v128.load32_splat(p1, 28); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones); p1 += 32;
        v = v128.load32_splat(p2, 28); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones); p2 += 32;
        v = v128.load32_splat(p3, 28); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones); p3 += 32;
        v = v128.load32_splat(p4, 28); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones); p4 += 32;
        v = v128.load32_splat(p5, 28); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones); p5 += 32;
        w += 256;
      } while (w < whole);
    }
    while (end - w >= 128) {
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
      w += 128;
      if (sizeof<V>() == 1) break;
    }
    if (w < end) do {
      b = v128.load(w); e = v128.load(w, 16);
      v = v128.load32_splat(p0); a0 = dot<V>(b, v, a0, ones); c0 = dot<V>(e, v, c0, ones); p0 += 4;
      v = v128.load32_splat(p1); a1 = dot<V>(b, v, a1, ones); c1 = dot<V>(e, v, c1, ones); p1 += 4;
      v = v128.load32_splat(p2); a2 = dot<V>(b, v, a2, ones); c2 = dot<V>(e, v, c2, ones); p2 += 4;
      v = v128.load32_splat(p3); a3 = dot<V>(b, v, a3, ones); c3 = dot<V>(e, v, c3, ones); p3 += 4;
      v = v128.load32_splat(p4); a4 = dot<V>(b, v, a4, ones); c4 = dot<V>(e, v, c4, ones); p4 += 4;
      v = v128.load32_splat(p5); a5 = dot<V>(b, v, a5, ones); c5 = dot<V>(e, v, c5, ones); p5 += 4;
      w += 32;
    } while (w < end);
    if (run == lastRun) break;
    // From the end of a run to the next.
    const step = load<i32>(run, 4) - load<i32>(run) - <i32>runBytes;
    p0 += step; p1 += step; p2 += step; p3 += step; p4 += step; p5 += step;
    run += 4;
  }
  if (raw != 0) {
    v128.store(raw, a0); v128.store(raw, c0, 16); v128.store(raw, a1, 32); v128.store(raw, c1, 48);
    v128.store(raw, a2, 64); v128.store(raw, c2, 80); v128.store(raw, a3, 96); v128.store(raw, c3, 112);
    v128.store(raw, a4, 128); v128.store(raw, c4, 144); v128.store(raw, a5, 160); v128.store(raw, c5, 176);
    return;
  }
  let s: v128, t: v128, u: v128;
  const f = v128.load(post, POST_MULTIPLIER), g = v128.load(post, POST_MULTIPLIER + 16);
  const m = f32x4.splat(MAGIC), z = v128.load32_splat(d, MAGIC_ZERO);
  if (load<i32>(d, HAS_BIAS) == 0) {
    s = bytes16(plain4(a0, f, m, z), plain4(c0, g, m, z), plain4(a1, f, m, z), plain4(c1, g, m, z));
    t = bytes16(plain4(a2, f, m, z), plain4(c2, g, m, z), plain4(a3, f, m, z), plain4(c3, g, m, z));
    u = bytes16(plain4(a4, f, m, z), plain4(c4, g, m, z), plain4(a5, f, m, z), plain4(c5, g, m, z));
  } else {
    const q = v128.load(post, POST_BIAS), r = v128.load(post, POST_BIAS + 16);
    s = bytes16(bounded4(a0, q, f, m, z), bounded4(c0, r, g, m, z), bounded4(a1, q, f, m, z), bounded4(c1, r, g, m, z));
    t = bytes16(bounded4(a2, q, f, m, z), bounded4(c2, r, g, m, z), bounded4(a3, q, f, m, z), bounded4(c3, r, g, m, z));
    u = bytes16(bounded4(a4, q, f, m, z), bounded4(c4, r, g, m, z), bounded4(a5, q, f, m, z), bounded4(c5, r, g, m, z));
  }
  if (load<i32>(d, HAS_LIMITS)) {
    const low = v128.load32_splat(d, LOW_BYTES), high = v128.load32_splat(d, HIGH_BYTES), flip = v128.load32_splat(d, FLIP);
    s = limited16(s, low, high, flip);
    t = limited16(t, low, high, flip);
    u = limited16(u, low, high, flip);
  }
  v128.store64_lane(y + load<i32>(po), s, 0);
  v128.store64_lane(y + load<i32>(po, 4), s, 1);
  v128.store64_lane(y + load<i32>(po, 8), t, 0);
  v128.store64_lane(y + load<i32>(po, 12), t, 1);
  v128.store64_lane(y + load<i32>(po, 16), u, 0);
  v128.store64_lane(y + load<i32>(po, 20), u, 1);
}
