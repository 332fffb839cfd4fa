// Moving rectangles of pixels between images: borders, slices with a step, channels side by side.

/**
 * d[r][c] = s[r][c], pieces of `bytes` bytes, r < rows, c < columns. Rows and pieces of s and d lie sRow, sPiece and
 * dRow, dPiece bytes apart. s and d must not overlap. Any counts, also 0.
 */
export function copy_pieces(
  rows: usize, columns: usize, bytes: usize, s: usize, sRow: usize, sPiece: usize, d: usize, dRow: usize, dPiece: usize,
): void {
  if (sPiece == bytes && dPiece == bytes) {
    bytes *= columns;
    columns = bytes > 0 ? 1 : 0;
  }
  for (; rows > 0; rows--) {
    let p = s, q = d;
    for (let c: usize = 0; c < columns; c++) {
      let i: usize = 0;
      for (; i + 16 <= bytes; i += 16) v128.store(q + i, v128.load(p + i));
      for (; i < bytes; i++) store<u8>(q + i, load<u8>(p + i));
      p += sPiece;
      q += dPiece;
    }
    s += sRow;
    d += dRow;
  }
}
