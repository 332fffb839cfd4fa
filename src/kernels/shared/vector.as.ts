// Vector helpers every family inlines. The one place where the plain and the relaxed build differ in
// float arithmetic: `madd` rounds once where the machine fuses (relaxed) and twice otherwise (simd),
// so the simd build gives the same bits on every machine.

/** a * b + c in four f32 lanes. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/** c - a * b in four f32 lanes. */
@inline
export function negatedMadd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(a, b, c);
  return f32x4.sub(c, f32x4.mul(a, b));
}

/** The first two of four floats, as doubles. */
@inline
export function low2(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

/** The last two of four floats, as doubles. */
@inline
export function high2(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1));
}

/**
 * A constant in four lanes, by way of the four bytes at `at`. Engines make a vector constant anew at each use; one that
 * was loaded stays in its register.
 */
@inline
export function held(value: f32, at: usize): v128 {
  store<f32>(at, value);
  return v128.load32_splat(at);
}

/**
 * The second half of a pair of operands. Where a product and its addition are two instructions (simd build), the
 * product needs a register of its own, and a tile of twelve sums is one short: reading the half anew from `at` for each
 * row costs less than spilling. The relaxed build keeps it in its register.
 */
@inline
export function again(held: v128, at: usize): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return held;
  return v128.load(at);
}
