/**
 * relu and its gradient on the bit patterns of float32, without branches: a branch on the sign of activations is
 * guessed wrong half the time, which costs four times the arithmetic.
 */

const INFINITY_BITS = 0x7f800000;
const MAGNITUDE = 0x7fffffff;

function bitsOf(x: Float32Array): Int32Array {
  return new Int32Array(x.buffer, x.byteOffset, x.length);
}

/** y = x where x > 0 or NaN, else 0. */
export function reluBits(x: Float32Array, y: Float32Array): void {
  const from = bitsOf(x);
  const to = bitsOf(y);
  for (let i = 0; i < to.length; i++) {
    const v = from[i]!;
    const isNaN = (INFINITY_BITS - (v & MAGNITUDE)) >> 31;
    to[i] = v & (~(v >> 31) | isNaN);
  }
}

/** dx = dy where x > 0 or NaN, else 0. */
export function reluGradBits(dy: Float32Array, x: Float32Array, dx: Float32Array): void {
  const from = bitsOf(dy);
  const at = bitsOf(x);
  const to = bitsOf(dx);
  for (let i = 0; i < to.length; i++) {
    const v = at[i]!;
    const isNaN = (INFINITY_BITS - (v & MAGNITUDE)) >> 31;
    const isPositive = ~(v >> 31) & (-v >> 31);
    to[i] = from[i]! & (isPositive | isNaN);
  }
}
