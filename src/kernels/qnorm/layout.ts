// Record of a row-wise operation on stored bytes (softmax, layer norm), read by TypeScript and
// AssemblyScript alike.

/** i32: rows, elements of a row, bytes between rows of x and of y. */
export const N_ROWS = 0;
export const N_LENGTH = 4;
export const N_X_STRIDE = 8;
export const N_Y_STRIDE = 12;
/** i32: xor mask of four stored bytes, and what is taken off the unsigned form to give q. */
export const N_FLIP = 16;
export const N_OFFSET = 20;
/** Softmax. i32 address of f32 [256 largest][256]: exponentials of every integer below a largest one. */
export const N_EXPONENTIALS = 24;
/** Layer norm. i32: zero point of x; f32: scale of x; f64: eps. */
export const N_ZERO_POINT = 28;
export const N_SCALE = 32;
/** i32 addresses of f32 weight and bias, [length]. */
export const N_WEIGHT = 36;
export const N_BIAS = 40;
/** i32: elements of a row that are rounded by the first quantizer; the rest by the second. */
export const N_SPLIT = 44;
export const N_EPS = 48;
/** Two quantizer records (quantize/layout.ts). */
export const N_QUANTIZER = 64;
export const N_SECOND = 112;
export const N_BYTES = 160;
