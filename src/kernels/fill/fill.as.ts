// Setting memory: borders of padded images and clean accumulators. Scratch memory is never assumed to
// be clean, and stale bits read as floats may be denormal, which costs a third of the speed.

/** y[0..bytes) = value. */
export function fill_bytes(y: usize, value: i32, bytes: usize): void {
  memory.fill(y, <u8>value, bytes);
}

/** y[i] = value, i < n. Any n; y needs no alignment. */
export function fill_f32(y: usize, value: f32, n: usize): void {
  const lanes = f32x4.splat(value);
  const end = y + (n << 2);
  for (; y + 16 <= end; y += 16) v128.store(y, lanes);
  for (; y < end; y += 4) f32.store(<usize>y, value);
}
