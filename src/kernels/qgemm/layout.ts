// Byte offsets of the integer matrix-product descriptor and of a panel's epilogue block. This file is
// read twice, by TypeScript (which writes the records) and by AssemblyScript (which reads them), so
// that each offset is written once. Only integer constants can live here.

/** i32 address: byte offset into x of every output pixel, [tiles * 6], padded by repeating the last one. */
export const PIX_IN = 0;
/** i32 address: byte offset into y of every output pixel, [tiles * 6], padded the same way. */
export const PIX_OUT = 4;
/** i32: how many output pixels there are. */
export const PIXELS = 8;
/** i32 address: byte offset of every run of input bytes from its pixel, [run count]; at least one. */
export const RUNS = 12;
export const RUN_COUNT = 16;
/** i32: bytes of one run, a multiple of 4. */
export const RUN_BYTES = 20;
/** i32 address of the packed s8 weights. */
export const WEIGHTS = 24;
/** i32: bytes of one of their panels (8 output channels; 16 in depthwise kernels by taps). */
export const PANEL_BYTES = 28;
/** i32: real output channels; the last panel may be partial. */
export const CHANNELS = 32;
/** i32 address of the epilogue blocks, one a panel. */
export const POST = 36;
/** f32: lower and upper clamp minus the output zero point. */
export const LOW = 40;
export const HIGH = 44;
/** i32: zero point of the stored output bytes read as unsigned. */
export const ZERO_POINT = 48;
/** i32: 0 for unsigned storage, 0x80808080 when bytes are stored with their top bit flipped. */
export const FLIP = 52;
/** i32: one of the OUT_ values. */
export const OUT = 56;
/** i32: tiles done for one panel before the next panel is taken. */
export const TILE_BLOCK = 60;
/** i32: 1 when no result can leave the range in which adding MAGIC rounds, so that bytes can be clamped instead of floats. */
export const BOUNDED = 64;
/** i32: bits of MAGIC minus the zero point. */
export const MAGIC_ZERO = 68;
/** i32: lower and upper clamp of the unsigned form, four times. */
export const LOW_BYTES = 72;
export const HIGH_BYTES = 76;
/** i32: 1 when the bias needs more than f32 and is added in one rounding. */
export const WIDE_BIAS = 80;
/** i32: 1 when some channel has a bias to add to its converted accumulator. */
export const HAS_BIAS = 84;
/** i32 address and panel bytes of the i16 weights, for kernels that multiply in plain SIMD (always or at times). */
export const WIDE_WEIGHTS = 88;
export const WIDE_PANEL_BYTES = 92;
/** i32: 1 when bytes are clamped to less than their range, or stored flipped. */
export const HAS_LIMITS = 96;
/** i32: tiles of one group of images, which the tables describe, and bytes of x and of y from a group to the next. */
export const GROUP_TILES = 100;
export const GROUP_X = 104;
export const GROUP_Y = 108;
/** i32: bytes at the start of scratch that hold the accumulators of one block of tiles for shared/product-finish.as.ts, if any need it. */
export const ACC_BYTES = 112;
/** i32 addresses, for OUT_SUM: the other operand; byte offset into it of every output pixel, as PIX_OUT; the record below. */
export const OTHER = 116;
export const PIX_OTHER = 120;
export const SUM = 124;
/** i32: bytes of the other operand from a group to the next. */
export const GROUP_OTHER = 128;
export const DESCRIPTOR_BYTES = 144;

/** Bits of 1.5 * 2^23 as f32. */
export const MAGIC_BITS = 0x4b400000;

/**
 * Output forms: bytes by requantization, raw 32-bit accumulators, f32 `acc * multiplier + bias` in one rounding; and
 * the forms that shared/product-finish.as.ts makes, the same in two roundings and bytes of a sum with another tensor.
 */
export const OUT_BYTES = 0;
export const OUT_I32 = 1;
export const OUT_F32 = 2;
export const OUT_F32_TWICE = 3;
export const OUT_SUM = 4;

/** Record of a sum. i32: 1 when the layer's result passes through bytes before it is added. */
export const SUM_THROUGH = 0;
/** Those bytes: f32 1.5 * 2^23 minus their zero point, clamps, scale and addend, all of the dtype's own integers. */
export const SUM_ZERO = 4;
export const SUM_LOW = 8;
export const SUM_HIGH = 12;
export const SUM_SCALE = 16;
export const SUM_ADDEND = 20;
/** Dequantizer of the other operand and quantizer of the sum (quantize/layout.ts). */
export const SUM_OTHER = 32;
export const SUM_OUTPUT = 64;
export const SUM_BYTES = 112;

/** One epilogue block: i32 accumulator start [8], f32 bias [8], f32 multiplier [8], f64 bias [8]. */
export const POST_BIAS = 32;
export const POST_MULTIPLIER = 64;
export const POST_WIDE_BIAS = 96;
export const POST_BYTES = 160;

/** Pixels of a tile and channels of a panel: 12 accumulators, as many as the registers hold. */
export const MR = 6;
export const NR = 8;
