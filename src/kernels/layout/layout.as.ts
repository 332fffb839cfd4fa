// Moving images between PyTorch's NCHW and the engine's padded NHWC, and the offset tables by which
// kernels find pixels. Transposes go four by four through registers.

import { block4x4, zipHigh, zipLow } from "../shared/transpose.as";

/**
 * d[c][r] = s[r][c] for r < rows, c < columns, 32-bit elements; rows of s are sRow bytes apart, rows of d
 * dRow bytes apart. s and d must not overlap. rows and columns may be 0.
 */
export function layout_transpose32(rows: usize, columns: usize, s: usize, sRow: usize, d: usize, dRow: usize): void {
  const rows4 = rows & ~3, columns4 = columns & ~3;
  for (let c: usize = 0; c < columns4; c += 4) {
    for (let r: usize = 0; r < rows4; r += 4) block4x4(s + r * sRow + (c << 2), sRow, d + c * dRow + (r << 2), dRow);
  }
  for (let r: usize = 0; r < rows; r++) {
    for (let c: usize = r < rows4 ? columns4 : 0; c < columns; c++) {
      store<u32>(d + c * dRow + (r << 2), load<u32>(s + r * sRow + (c << 2)));
    }
  }
}

/**
 * One image from planes to pixels, 32-bit elements: d[h][w][c] = s[c][h][w]. Planes of s are `plane` bytes apart,
 * pixels of d `pixel` bytes and its rows `row` bytes, so d may be the inside of a padded image or of a wider
 * set of channels.
 */
export function layout_planes_to_pixels(
  channels: usize, height: usize, width: usize, s: usize, plane: usize, d: usize, row: usize, pixel: usize,
): void {
  for (let h: usize = 0; h < height; h++) {
    layout_transpose32(channels, width, s, plane, d, pixel);
    s += width << 2;
    d += row;
  }
}

/** The reverse: d[c][h][w] = s[h][w][c], with the strides on the side of s and planes of d `plane` bytes apart. */
export function layout_pixels_to_planes(
  channels: usize, height: usize, width: usize, s: usize, row: usize, pixel: usize, d: usize, plane: usize,
): void {
  for (let h: usize = 0; h < height; h++) {
    layout_transpose32(width, channels, s, pixel, d, plane);
    s += row;
    d += width << 2;
  }
}

/**
 * Sixteen bytes of each of eight rows, `sRow` bytes apart, as sixteen groups of the eight bytes of a column: three perfect
 * shuffles, each of which moves the highest bit of a byte's address (row, column) to the lowest. Each byte is xored with
 * `mask`. Writes the first `columns` (1 to 16) groups, `dRow` bytes apart.
 */
@inline
function columnsOf8Rows(s: usize, sRow: usize, d: usize, dRow: usize, columns: usize, mask: v128): void {
  const a0 = v128.load(s), a1 = v128.load(s + sRow), a2 = v128.load(s + 2 * sRow), a3 = v128.load(s + 3 * sRow);
  const a4 = v128.load(s + 4 * sRow), a5 = v128.load(s + 5 * sRow), a6 = v128.load(s + 6 * sRow), a7 = v128.load(s + 7 * sRow);
  const b0 = zipLow(a0, a4), b1 = zipHigh(a0, a4), b2 = zipLow(a1, a5), b3 = zipHigh(a1, a5);
  const b4 = zipLow(a2, a6), b5 = zipHigh(a2, a6), b6 = zipLow(a3, a7), b7 = zipHigh(a3, a7);
  const c0 = zipLow(b0, b4), c1 = zipHigh(b0, b4), c2 = zipLow(b1, b5), c3 = zipHigh(b1, b5);
  const c4 = zipLow(b2, b6), c5 = zipHigh(b2, b6), c6 = zipLow(b3, b7), c7 = zipHigh(b3, b7);
  storePair(d, dRow, 0, columns, v128.xor(zipLow(c0, c4), mask));
  storePair(d, dRow, 2, columns, v128.xor(zipHigh(c0, c4), mask));
  storePair(d, dRow, 4, columns, v128.xor(zipLow(c1, c5), mask));
  storePair(d, dRow, 6, columns, v128.xor(zipHigh(c1, c5), mask));
  storePair(d, dRow, 8, columns, v128.xor(zipLow(c2, c6), mask));
  storePair(d, dRow, 10, columns, v128.xor(zipHigh(c2, c6), mask));
  storePair(d, dRow, 12, columns, v128.xor(zipLow(c3, c7), mask));
  storePair(d, dRow, 14, columns, v128.xor(zipHigh(c3, c7), mask));
}

/** Eight bytes to row `at` and eight to the next, as far as they are below `rows`. */
@inline
function storePair(d: usize, dRow: usize, at: usize, rows: usize, v: v128): void {
  if (at < rows) v128.store_lane<i64>(d + at * dRow, v, 0);
  if (at + 1 < rows) v128.store_lane<i64>(d + (at + 1) * dRow, v, 1);
}

@inline
function even(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

@inline
function odd(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

@inline
function loadPair(s: usize, sRow: usize): v128 {
  return v128.load_lane<i64>(s + sRow, v128.load64_zero(s), 1);
}

/** The way back: eight bytes of each of sixteen rows as eight rows of sixteen, by three inverse shuffles. */
@inline
function rowsOf8Columns(s: usize, sRow: usize, d: usize, dRow: usize, mask: v128): void {
  const a0 = loadPair(s, sRow), a1 = loadPair(s + 2 * sRow, sRow), a2 = loadPair(s + 4 * sRow, sRow), a3 = loadPair(s + 6 * sRow, sRow);
  const a4 = loadPair(s + 8 * sRow, sRow), a5 = loadPair(s + 10 * sRow, sRow), a6 = loadPair(s + 12 * sRow, sRow), a7 = loadPair(s + 14 * sRow, sRow);
  const b0 = even(a0, a1), b1 = even(a2, a3), b2 = even(a4, a5), b3 = even(a6, a7);
  const b4 = odd(a0, a1), b5 = odd(a2, a3), b6 = odd(a4, a5), b7 = odd(a6, a7);
  const c0 = even(b0, b1), c1 = even(b2, b3), c2 = even(b4, b5), c3 = even(b6, b7);
  const c4 = odd(b0, b1), c5 = odd(b2, b3), c6 = odd(b4, b5), c7 = odd(b6, b7);
  v128.store(d, v128.xor(even(c0, c1), mask));
  v128.store(d + dRow, v128.xor(even(c2, c3), mask));
  v128.store(d + 2 * dRow, v128.xor(even(c4, c5), mask));
  v128.store(d + 3 * dRow, v128.xor(even(c6, c7), mask));
  v128.store(d + 4 * dRow, v128.xor(odd(c0, c1), mask));
  v128.store(d + 5 * dRow, v128.xor(odd(c2, c3), mask));
  v128.store(d + 6 * dRow, v128.xor(odd(c4, c5), mask));
  v128.store(d + 7 * dRow, v128.xor(odd(c6, c7), mask));
}

/**
 * layout_planes_to_pixels for bytes: d[h][w][c] = s[c][h][w] ^ mask. Reads up to 15 bytes past a row of a plane, which it
 * does not use.
 */
export function layout_planes_to_pixels8(
  channels: usize, height: usize, width: usize, s: usize, plane: usize, d: usize, row: usize, pixel: usize, mask: i32,
): void {
  const masks = i8x16.splat(<i8>mask), channels8 = channels & ~7;
  for (let h: usize = 0; h < height; h++) {
    for (let w: usize = 0; w < width; w += 16) {
      const left = width - w, count: usize = left < 16 ? left : 16;
      for (let c: usize = 0; c < channels8; c += 8) {
        columnsOf8Rows(s + c * plane + w, plane, d + w * pixel + c, pixel, count, masks);
      }
      for (let c: usize = channels8; c < channels; c++) {
        for (let i: usize = w; i < w + count; i++) store<u8>(d + i * pixel + c, load<u8>(s + c * plane + i) ^ <u8>mask);
      }
    }
    s += width;
    d += row;
  }
}

/** The reverse: d[c][h][w] = s[h][w][c] ^ mask, with the strides on the side of s and planes of d `plane` bytes apart. */
export function layout_pixels_to_planes8(
  channels: usize, height: usize, width: usize, s: usize, row: usize, pixel: usize, d: usize, plane: usize, mask: i32,
): void {
  const masks = i8x16.splat(<i8>mask), channels8: usize = width < 16 ? 0 : channels & ~7;
  for (let h: usize = 0; h < height; h++) {
    // The last block of a row is moved back to end with it: some pixels are done twice.
    for (let w: usize = 0; w < width && channels8 > 0; w += 16) {
      const at = w + 16 > width ? width - 16 : w;
      for (let c: usize = 0; c < channels8; c += 8) rowsOf8Columns(s + at * pixel + c, pixel, d + c * plane + at, plane, masks);
    }
    for (let c: usize = channels8; c < channels; c++) {
      for (let i: usize = 0; i < width; i++) store<u8>(d + c * plane + i, load<u8>(s + i * pixel + c) ^ <u8>mask);
    }
    s += row;
    d += width;
  }
}

/** table[((a * nb + b) * nc + c) * nd + e] = base + a*sa + b*sb + c*sc + e*se: byte offsets of a grid, u32. */
export function layout_grid(
  table: usize, base: usize, na: usize, sa: usize, nb: usize, sb: usize, nc: usize, sc: usize, ne: usize, se: usize,
): void {
  for (let a: usize = 0; a < na; a++) {
    for (let b: usize = 0; b < nb; b++) {
      for (let c: usize = 0; c < nc; c++) {
        let offset = base + a * sa + b * sb + c * sc;
        for (let e: usize = 0; e < ne; e++) {
          store<u32>(table, <u32>offset);
          table += 4;
          offset += se;
        }
      }
    }
  }
}
