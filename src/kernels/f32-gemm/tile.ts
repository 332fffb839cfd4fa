/**
 * The tile of the float products, and how their operands are walked so that they stay in the caches. Eager products,
 * compiled layers and training steps all go by these; none of them changes a bit of a result.
 */

/** Columns of one packed panel: the output channels of a 6x8 tile. */
export const PANEL = 8;
/** Rows of a tile, by which products are shared among threads. */
export const TILE_ROWS = 6;
/** Pixels the depthwise kernel takes at once. */
export const DEPTHWISE_ROWS = 4;
/** Steps of a matrix product's sum taken at once: a panel is then 16 KB. */
export const K_BLOCK = 512;
/** Rows of a matrix product visited for one panel before the next: 96 rows of K_BLOCK floats stay in the second-level cache. */
export const MATRIX_ROWS = 96;

/** Packed weights of a convolution above this many bytes are walked panel by panel, smaller ones tile by tile. */
const PANELS_IN_CACHE = 256 * 1024;
/** Rows visited for one panel when panels do not fit the cache. */
const CONV_ROWS = 192;

/** Rows of a convolution visited for one panel before the next. */
export function convRowBlock(packedBytes: number): number {
  return packedBytes > PANELS_IN_CACHE ? CONV_ROWS : TILE_ROWS;
}
