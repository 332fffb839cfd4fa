// exp and log on four lanes, for softmax and smooth activations. Range reduction and minimax polynomials after
// the Cephes library (Moshier, single precision): within 2 units in the last place.

/** e^x; below -87.3 gives 0 (never a denormal), above 88.37 about 2.4e38; NaN stays NaN. */
@inline
export function exp4(x: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87.3)), f32x4.splat(88.37));
  const n = f32x4.nearest(f32x4.mul(bounded, f32x4.splat(1.44269504088896341)));
  // ln 2 in two parts, the first exact in few bits, so that n * ln 2 loses nothing.
  let r = f32x4.sub(bounded, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.splat(1.9875691500e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  p = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(p, power), f32x4.lt(x, f32x4.splat(-87.3)));
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
