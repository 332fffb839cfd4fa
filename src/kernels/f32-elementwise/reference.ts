/** The specification of f32-elementwise on flat arrays: every operation rounds once. */

const { fround } = Math;

/** Limits to lo..hi; NaN stays. */
export function clampReference(x: Float32Array, lo: number, hi: number): Float32Array {
  return x.map((v) => (v < lo ? lo : v > hi ? hi : v));
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
