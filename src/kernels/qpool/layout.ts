// Record of one pooling over an NHWC image of bytes, read by TypeScript and AssemblyScript alike. The
// windows of an axis are pairs of i32 (first position, how many), clipped to the image, so padding,
// dilation, adaptive and global pooling need no cases of their own.

/** i32: output rows and columns, channels. */
export const P_ROWS = 0;
export const P_COLUMNS = 4;
export const P_CHANNELS = 8;
/** i32 addresses of the windows along y and x. */
export const P_WINDOWS_Y = 12;
export const P_WINDOWS_X = 16;
/** i32: bytes between rows and pixels of x, and between the taps of a window (dilation included). */
export const P_X_ROW = 20;
export const P_X_PIXEL = 24;
export const P_STEP_Y = 28;
export const P_STEP_X = 32;
/** i32: bytes between rows and pixels of y. */
export const P_Y_ROW = 36;
export const P_Y_PIXEL = 40;
/** i32: xor mask of four stored bytes. */
export const P_FLIP = 44;
/** Averages only. i32 address of one f32 factor an output pixel; i32 taken off every summed integer. */
export const P_FACTORS = 48;
export const P_SUBTRACT = 52;
/** The quantizer's record (quantize/layout.ts), whose factor the table replaces. */
export const P_QUANTIZER = 64;
export const P_BYTES = 112;
