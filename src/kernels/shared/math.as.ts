// exp and log on four lanes, for softmax and smooth activations. Range reduction and minimax polynomials after
// the Cephes library (Moshier, single precision): within 2 units in the last place.

/** Cephes' coefficients of e^r on [-ln 2 / 2, ln 2 / 2], and the ends of what float32 holds. */
export const EXP_C5: f32 = 1.9875691500e-4;
export const EXP_C4: f32 = 1.3981999507e-3;
export const EXP_C3: f32 = 8.3334519073e-3;
export const EXP_C2: f32 = 4.1665795894e-2;
export const EXP_C1: f32 = 1.6666665459e-1;
export const EXP_C0: f32 = 5.0000001201e-1;
export const EXP_LOW: f32 = -87.3;
export const EXP_HIGH: f32 = 88.37;
/** 1.5 * 2^23, 1 / ln 2, and ln 2 in two parts, the first exact in few bits, so that n * ln 2 loses nothing. */
export const ROUND_MAGIC: f32 = 12582912;
export const LOG2_E: f32 = 1.44269504088896341;
export const LN2_HIGH: f32 = 0.693359375;
export const LN2_LOW: f32 = -2.12194440e-4;

/**
 * e^x; below -87.3 gives 0 (never a denormal), above 88.37 about 2.4e38; NaN stays NaN. The caller splats the
 * constants above once, outside its loop: engines make a constant vector anew at every use.
 */
@inline
export function exp4(
  x: v128, low: v128, high: v128, log2e: v128, ln2High: v128, ln2Low: v128,
  c5: v128, c4: v128, c3: v128, c2: v128, c1: v128, c0: v128, one: v128, magic: v128,
): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, low), high);
  // Adding 1.5 * 2^23 rounds to an integer, and leaves that integer in the low bits of the sum.
  const shifted = f32x4.add(f32x4.mul(bounded, log2e), magic), n = f32x4.sub(shifted, magic);
  const r = f32x4.sub(f32x4.sub(bounded, f32x4.mul(n, ln2High)), f32x4.mul(n, ln2Low));
  let p = f32x4.add(f32x4.mul(c5, r), c4);
  p = f32x4.add(f32x4.mul(p, r), c3);
  p = f32x4.add(f32x4.mul(p, r), c2);
  p = f32x4.add(f32x4.mul(p, r), c1);
  p = f32x4.add(f32x4.mul(p, r), c0);
  p = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), one);
  const power = i32x4.add(i32x4.shl(shifted, 23), one);
  // `one` is the exponent bias in place: its bits plus n in the exponent's place are 2^n.
  return v128.andnot(f32x4.mul(p, power), f32x4.lt(x, low));
}

/** Natural logarithm of a positive, normal x. */
@inline
export function log(x: f32): f32 {
  let bits = reinterpret<i32>(x), exponent = (bits >> 23) - 126;
  let m = reinterpret<f32>((bits & 0x7fffff) | 0x3f000000);
  if (m < 0.707106781186547524) {
    exponent -= 1;
    m += m;
  }
  m -= 1;
  const z = m * m, e = <f32>exponent;
  let p: f32 = 7.0376836292e-2;
  p = p * m - 1.1514610310e-1;
  p = p * m + 1.1676998740e-1;
  p = p * m - 1.2420140846e-1;
  p = p * m + 1.4249322787e-1;
  p = p * m - 1.6668057665e-1;
  p = p * m + 2.0000714765e-1;
  p = p * m - 2.4999993993e-1;
  p = p * m + 3.3333331174e-1;
  let y: f32 = m * z * p;
  y += <f32>-2.12194440e-4 * e;
  y -= <f32>0.5 * z;
  return m + y + <f32>0.693359375 * e;
}

/**
 * Natural logarithm of four lanes, in the steps of `log`; -Infinity of 0, NaN below, Infinity stays. Denormals count as 0.
 */
@inline
export function log4(x: v128): v128 {
  const one = f32x4.splat(1), root = f32x4.splat(0.707106781186547524);
  let m = v128.or(v128.and(x, i32x4.splat(0x7fffff)), i32x4.splat(0x3f000000));
  const small = f32x4.lt(m, root);
  const e = f32x4.sub(f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_s(x, 23), i32x4.splat(126))), v128.and(one, small));
  m = f32x4.sub(f32x4.add(m, v128.and(m, small)), one);
  const z = f32x4.mul(m, m);
  let p = f32x4.sub(f32x4.mul(f32x4.splat(7.0376836292e-2), m), f32x4.splat(1.1514610310e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.1676998740e-1));
  p = f32x4.sub(f32x4.mul(p, m), f32x4.splat(1.2420140846e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.4249322787e-1));
  p = f32x4.sub(f32x4.mul(p, m), f32x4.splat(1.6668057665e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(2.0000714765e-1));
  p = f32x4.sub(f32x4.mul(p, m), f32x4.splat(2.4999993993e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(3.3333331174e-1));
  let y = f32x4.mul(f32x4.mul(m, z), p);
  y = f32x4.add(y, f32x4.mul(f32x4.splat(LN2_LOW), e));
  y = f32x4.sub(y, f32x4.mul(f32x4.splat(0.5), z));
  y = f32x4.add(f32x4.add(m, y), f32x4.mul(f32x4.splat(LN2_HIGH), e));
  const infinity = f32x4.splat(Infinity), least = f32x4.splat(1.17549435e-38);
  // The root of what is below 0 is NaN.
  y = v128.bitselect(x, y, f32x4.eq(x, infinity));
  y = v128.bitselect(v128.bitselect(f32x4.sqrt(x), f32x4.neg(infinity), f32x4.lt(x, f32x4.splat(0))), y, f32x4.lt(x, least));
  return v128.bitselect(y, x, f32x4.eq(x, x));
}
