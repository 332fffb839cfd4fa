// Parameter records of conversions between stored bytes and f32, and the codes of the rounding rules.
// Read by TypeScript and AssemblyScript alike, so that every offset is written once.

/** How a real number becomes an integer: see rules.ts. */
export const ROUND_THEN_ADD = 0;
export const ADD_THEN_ROUND = 1;
export const ADD_THEN_ROUND_TWICE = 2;
export const DIVIDE_THEN_ROUND = 3;

/** f32: inverse scale, or the scale for DIVIDE_THEN_ROUND. */
export const Q_FACTOR = 0;
/** f32: zero point that is added before rounding; 0 for rules that add it after. */
export const Q_OFFSET = 4;
/** f32: clamps of the number that is rounded. */
export const Q_LOW = 8;
export const Q_HIGH = 12;
/** i32: added after rounding, giving the unsigned form of the byte. */
export const Q_SHIFT = 16;
/** i32: xor mask of four stored bytes, 0 or 0x80808080. */
export const Q_FLIP = 20;
/** i32: what NaN becomes, 0 the low clamp and 1 the high clamp. */
export const Q_NAN_HIGH = 24;
/** i32: 1 when every number that is rounded is known to be below 2^21, so that bytes can be clamped instead. */
export const Q_BOUNDED = 28;
/** i32: bits of MAGIC minus Q_SHIFT, and the clamps of the unsigned form four times; for bounded numbers. */
export const Q_MAGIC_SHIFT = 32;
export const Q_LOW_BYTES = 36;
export const Q_HIGH_BYTES = 40;
export const Q_BYTES = 48;

/** i32: subtracted from the unsigned form of a byte. */
export const D_SUBTRACT = 0;
/** f32: scale. */
export const D_SCALE = 4;
/** f32: added to the product in the same rounding; 0 unless fused. */
export const D_OFFSET = 8;
/** i32: xor mask as above. */
export const D_FLIP = 12;
/** i32: 1 when product and offset are rounded once. */
export const D_FUSED = 16;
/** f32: a number whose square needs more than 24 bits, by which kernels see whether relaxed_madd rounds once. */
export const D_PROBE = 20;
export const D_BYTES = 32;
