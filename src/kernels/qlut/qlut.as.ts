// Any function of one stored byte as a table of 256 stored bytes: activations, requantization, and
// concatenation (rows written side by side, each input through its own table). Eight bytes are read
// and written at once; the table lookups are scalar, which no vector form of 256 entries beats.

@inline
function at(t: usize, v: u64, shift: u64): u64 {
  return load<u8>(t + <usize>((v >> shift) & 255));
}

/** y[r][i] = table[x[r][i]], i < n, rows xStride and yStride bytes apart. y may be x with equal strides. */
export function qlut_rows(rows: usize, n: usize, x: usize, xStride: usize, y: usize, yStride: usize, table: usize): void {
  if (xStride == n && yStride == n) {
    n *= rows;
    rows = n > 0 ? 1 : 0;
  }
  for (; rows > 0; rows--) {
    let p = x;
    let o = y;
    const end = x + n;
    for (; p + 8 <= end; p += 8) {
      const v = load<u64>(p);
      const low = at(table, v, 0) | (at(table, v, 8) << 8) | (at(table, v, 16) << 16) | (at(table, v, 24) << 24);
      const high = at(table, v, 32) | (at(table, v, 40) << 8) | (at(table, v, 48) << 16) | (at(table, v, 56) << 24);
      store<u64>(o, low | (high << 32));
      o += 8;
    }
    for (; p < end; p++) {
      store<u8>(o, load<u8>(table + load<u8>(p)));
      o++;
    }
    x += xStride;
    y += yStride;
  }
}
