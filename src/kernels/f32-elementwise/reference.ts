/** The specification of f32-elementwise on flat arrays: every operation rounds once. */

const { fround } = Math;

/** Limits to lo..hi; NaN stays. */
export function clampReference(x: Float32Array, lo: number, hi: number): Float32Array {
  return x.map((v) => (v < lo ? lo : v > hi ? hi : v));
}

/** clamp(a + alpha * b). */
export function addReference(a: Float32Array, b: Float32Array, alpha: number, lo: number, hi: number): Float32Array {
  return clampReference(
    a.map((v, i) => v + fround(fround(alpha) * b[i]!)),
    lo,
    hi,
  );
}

/** clamp(a * b). */
export function mulReference(a: Float32Array, b: Float32Array, lo: number, hi: number): Float32Array {
  return clampReference(
    a.map((v, i) => v * b[i]!),
    lo,
    hi,
  );
}

/** lo < x < hi ? dy : 0. */
export function clampGradReference(dy: Float32Array, x: Float32Array, lo: number, hi: number): Float32Array {
  return dy.map((v, i) => (x[i]! > lo && x[i]! < hi ? v : 0));
}

/** clamp(x * scale[c] + shift[c]), channels innermost. */
export function channelAffineReference(
  x: Float32Array,
  scale: Float32Array,
  shift: Float32Array,
  lo: number,
  hi: number,
): Float32Array {
  const channels = scale.length;
  return clampReference(
    x.map((v, i) => fround(v * scale[i % channels]!) + shift[i % channels]!),
    lo,
    hi,
  );
}
