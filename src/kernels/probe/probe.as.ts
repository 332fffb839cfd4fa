// What this machine does with the relaxed integer dot product. The operands are read from memory so
// that no compiler folds them; src/engine/probe.ts chooses them and reads the answer.

/** First lane of relaxed_dot(weights, activations), weights at p and activations at p + 16, s8/u8 x16; 0 without relaxed SIMD. */
export function probe_relaxed_dot(p: usize): i32 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const weights = v128.load(p);
    const activations = v128.load(p, 16);
    return i32x4.extract_lane(i32x4.relaxed_dot_i8x16_i7x16_add_s(weights, activations, i32x4.splat(0)), 0);
  }
  return 0;
}
