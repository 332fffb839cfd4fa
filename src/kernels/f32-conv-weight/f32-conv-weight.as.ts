// Weight gradient of a convolution as an implicit matrix product: rows are output channels, columns are the
// points (ky, kx, c) of the kernel, and the sum runs over pixels. The window of a pixel is contiguous in
// padded NHWC, so eight neighbouring columns are one load and nothing is copied out of the image.

import { storePart } from "../shared/rows.as";
import { again, madd } from "../shared/vector.as";

/**
 * dw[o][tap][j] += sum over pixels of dy[p][o] * x[p][tap][j], for o in [rowStart, rowEnd), every tap and j < run.
 *
 * Pixels are `lines` image lines of `width` pixels: line i starts at x + xLines[i] and dy + dyLines[i] (u32
 * byte offsets), its pixels are xPixel and dyPixel bytes apart. tapTable: u32 byte offsets into x.
 * dw: f32 [o][taps * run], rows dwRow bytes apart, offset rowStart included by the kernel; the caller clears it.
 * Sums run over lines, then pixels, in order. dy may be read 20 bytes, x and dw 28 bytes past their ends.
 */
export function f32_conv_weight_6x8(
  rowStart: usize, rowEnd: usize, lines: usize, xLines: usize, dyLines: usize, width: usize, x: usize, xPixel: usize,
  taps: usize, tapTable: usize, run: usize, dy: usize, dyPixel: usize, dw: usize, dwRow: usize,
): void {
  for (let t: usize = 0; t < taps; t++) {
    const tap: usize = x + load<u32>(tapTable + (t << 2));
    for (let j: usize = 0; j < run; j += 8) {
      let o = rowStart;
      // Channels come in eights: 16 rows are 6 + 6 + 4, 32 are four times 6 and twice 4.
      for (; rowEnd - o >= 6 && rowEnd - o != 8; o += 6) {
        const y0 = dw + o * dwRow + ((t * run + j) << 2);
        sixRows(lines, xLines, dyLines, width, tap + (j << 2), xPixel, dy + (o << 2), dyPixel, y0, dwRow, run - j);
      }
      for (; o < rowEnd; o += 4) {
        const y0 = dw + o * dwRow + ((t * run + j) << 2);
        fourRows(lines, xLines, dyLines, width, tap + (j << 2), xPixel, dy + (o << 2), dyPixel, y0, dwRow, rowEnd - o, run - j);
      }
    }
  }
}

@inline
function sixRows(
  lines: usize, xLines: usize, dyLines: usize, width: usize, x: usize, xPixel: usize, dy: usize, dyPixel: usize,
  y0: usize, dwRow: usize, n: usize,
): void {
  const y1 = y0 + dwRow, y2 = y1 + dwRow, y3 = y2 + dwRow, y4 = y3 + dwRow, y5 = y4 + dwRow;
  let c00 = v128.load(y0), c01 = v128.load(y0, 16), c10 = v128.load(y1), c11 = v128.load(y1, 16);
  let c20 = v128.load(y2), c21 = v128.load(y2, 16), c30 = v128.load(y3), c31 = v128.load(y3, 16);
  let c40 = v128.load(y4), c41 = v128.load(y4, 16), c50 = v128.load(y5), c51 = v128.load(y5, 16);
  for (let line: usize = 0; line < lines; line++) {
    let p = x + load<u32>(xLines + (line << 2));
    let d = dy + load<u32>(dyLines + (line << 2));
    const end = d + width * dyPixel;
    while (d != end) {
      const b0 = v128.load(p), b1 = v128.load(p, 16);
      let a = v128.load32_splat(d); c00 = madd(a, b0, c00); c01 = madd(a, again(b1, p + 16), c01);
      a = v128.load32_splat(d, 4); c10 = madd(a, b0, c10); c11 = madd(a, again(b1, p + 16), c11);
      a = v128.load32_splat(d, 8); c20 = madd(a, b0, c20); c21 = madd(a, again(b1, p + 16), c21);
      a = v128.load32_splat(d, 12); c30 = madd(a, b0, c30); c31 = madd(a, again(b1, p + 16), c31);
      a = v128.load32_splat(d, 16); c40 = madd(a, b0, c40); c41 = madd(a, again(b1, p + 16), c41);
      a = v128.load32_splat(d, 20); c50 = madd(a, b0, c50); c51 = madd(a, again(b1, p + 16), c51);
      p += xPixel;
      d += dyPixel;
    }
  }
  storePart(y0, c00, c01, n);
  storePart(y1, c10, c11, n);
  storePart(y2, c20, c21, n);
  storePart(y3, c30, c31, n);
  storePart(y4, c40, c41, n);
  storePart(y5, c50, c51, n);
}

@inline
function fourRows(
  lines: usize, xLines: usize, dyLines: usize, width: usize, x: usize, xPixel: usize, dy: usize, dyPixel: usize,
  y0: usize, dwRow: usize, rows: usize, n: usize,
): void {
  // Rows that do not exist share the last row's place; they are not stored.
  const y1 = rows > 1 ? y0 + dwRow : y0, y2 = rows > 2 ? y1 + dwRow : y0, y3 = rows > 3 ? y2 + dwRow : y0;
  let c00 = v128.load(y0), c01 = v128.load(y0, 16), c10 = v128.load(y1), c11 = v128.load(y1, 16);
  let c20 = v128.load(y2), c21 = v128.load(y2, 16), c30 = v128.load(y3), c31 = v128.load(y3, 16);
  for (let line: usize = 0; line < lines; line++) {
    let p = x + load<u32>(xLines + (line << 2));
    let d = dy + load<u32>(dyLines + (line << 2));
    const end = d + width * dyPixel;
    while (d != end) {
      const b0 = v128.load(p), b1 = v128.load(p, 16);
      let a = v128.load32_splat(d); c00 = madd(a, b0, c00); c01 = madd(a, again(b1, p + 16), c01);
      a = v128.load32_splat(d, 4); c10 = madd(a, b0, c10); c11 = madd(a, again(b1, p + 16), c11);
      a = v128.load32_splat(d, 8); c20 = madd(a, b0, c20); c21 = madd(a, again(b1, p + 16), c21);
      a = v128.load32_splat(d, 12); c30 = madd(a, b0, c30); c31 = madd(a, again(b1, p + 16), c31);
      p += xPixel;
      d += dyPixel;
    }
  }
  storePart(y0, c00, c01, n);
  if (rows > 1) storePart(y1, c10, c11, n);
  if (rows > 2) storePart(y2, c20, c21, n);
  if (rows > 3) storePart(y3, c30, c31, n);
}
