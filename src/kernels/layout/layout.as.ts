// Moving images between PyTorch's NCHW and the engine's padded NHWC, and the offset tables by which
// kernels find pixels. Transposes go four by four through registers.

import { block4x4 } from "../shared/transpose.as";

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
