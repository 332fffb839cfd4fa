// Packing of integer weights into panels, as qgemm/pack.ts does it: a model's first run packs every weight once, and
// WebAssembly is fast from the first call on, where JavaScript only gets so while it runs.

/** Channels of a panel. */
const NR: usize = 8;

/**
 * rows[o][run][i] = weight - zeros[o], i16, o < channels, i < runLength, and 0 up to the next multiple of four. The
 * weight is the byte at s + o * channelStride + taps[run * runLength + i], read as signed where flip is 128 and as
 * unsigned where it is 0; a negative tap takes no weight. taps and zeros are i32.
 */
export function qpack_rows(
  s: usize, flip: i32, channels: usize, channelStride: usize, zeros: usize, runs: usize, runLength: usize, taps: usize, rows: usize,
): void {
  const padding = -runLength & 3;
  for (let o: usize = 0; o < channels; o++, s += channelStride) {
    const zero = load<i32>(zeros + (o << 2)) + flip;
    let tap = taps;
    for (let run: usize = 0; run < runs; run++) {
      for (const end = tap + (runLength << 2); tap < end; tap += 4, rows += 2) {
        const place = load<i32>(tap);
        store<i16>(rows, place < 0 ? 0 : (<i32>load<u8>(s + place) ^ flip) - zero);
      }
      for (let i: usize = 0; i < padding; i++, rows += 2) store<i16>(rows, 0);
    }
  }
}

@inline
function lanesSum(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

@inline
function most(a: i32, b: i32): i32 {
  return a > b ? a : b;
}

@inline
function lanesMost(v: v128): i32 {
  return most(
    most(i32x4.extract_lane(v, 0), i32x4.extract_lane(v, 1)),
    most(i32x4.extract_lane(v, 2), i32x4.extract_lane(v, 3)),
  );
}

/**
 * sums[o] and magnitudes[o]: the sum of row o and of its absolute values, i32. facts: i32 x 4, of all rows: the least
 * (at most 0) and the largest value (at least 0), and of pairs of neighbours the largest sum of the positive and of
 * the negative parts, the latter as a positive number. depth is a multiple of four.
 */
export function qpack_facts(rows: usize, channels: usize, depth: usize, sums: usize, magnitudes: usize, facts: usize): void {
  const ones = i16x8.splat(1), zero = i16x8.splat(0);
  let low = zero, high = zero, positivePair = zero, negativePair = zero;
  for (let o: usize = 0; o < channels; o++) {
    let sum = zero, magnitude = zero;
    for (let k: usize = 0; k < depth; k += 4, rows += 8) {
      const v = v128.load64_zero(rows);
      const positive = i32x4.dot_i16x8_s(i16x8.max_s(v, zero), ones);
      const negative = i32x4.dot_i16x8_s(i16x8.min_s(v, zero), ones);
      sum = i32x4.add(sum, i32x4.add(positive, negative));
      magnitude = i32x4.add(magnitude, i32x4.sub(positive, negative));
      positivePair = i32x4.max_s(positivePair, positive);
      negativePair = i32x4.max_s(negativePair, i32x4.neg(negative));
      low = i16x8.min_s(low, v);
      high = i16x8.max_s(high, v);
    }
    store<i32>(sums + (o << 2), lanesSum(sum));
    store<i32>(magnitudes + (o << 2), lanesSum(magnitude));
  }
  store<i32>(facts, -lanesMost(i32x4.neg(i32x4.extend_low_i16x8_s(low))));
  store<i32>(facts, lanesMost(i32x4.extend_low_i16x8_s(high)), 4);
  store<i32>(facts, lanesMost(positivePair), 8);
  store<i32>(facts, lanesMost(negativePair), 12);
}

/**
 * d[panel][k / group][8 channels][group] of rows[channels][depth]: bytes in groups of four where `narrow` is 1, i16 in
 * pairs where it is 0. Channels that the last panel lacks are 0. depth is a multiple of four.
 */
export function qpack_panels(rows: usize, channels: usize, depth: usize, narrow: i32, d: usize): void {
  const step: usize = narrow ? 8 : 4;
  const rowBytes = depth << 1;
  const panelBytes = (rowBytes / step) << 5;
  for (let o: usize = 0; o < channels; o += NR, d += panelBytes) {
    for (let lane: usize = 0; lane < NR; lane++) {
      let to = d + (lane << 2);
      if (o + lane >= channels) {
        for (const end = to + panelBytes; to < end; to += 32) store<u32>(to, 0);
        continue;
      }
      for (const end = rows + rowBytes; rows < end; rows += step, to += 32) {
        const v = v128.load64_zero(rows);
        store<u32>(to, narrow ? i32x4.extract_lane(i8x16.shuffle(v, v, 0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6, 0, 2, 4, 6), 0) : i32x4.extract_lane(v, 0));
      }
    }
  }
}
