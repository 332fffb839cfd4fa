// Resizing along one axis: every result is a weighted sum of a few lines of floats. Each step rounds once, in both builds.

import { storeLanes } from "../shared/lines.as";

/**
 * y[o][i] = sum over t < count of weights[o][t] * x[index[o][t] + 4 i] for o in [outStart, outEnd), i < n. index: u32 byte
 * offsets; results are yStep bytes apart. count >= 1. y must not overlap x. Up to 12 bytes past a line are read.
 */
export function f32_taps(
  outStart: usize, outEnd: usize, count: usize, index: usize, weights: usize, x: usize, y: usize, yStep: usize, n: usize,
): void {
  const bytes = n << 2;
  for (let o = outStart; o < outEnd; o++) {
    const at = o * count << 2, last = at + (count << 2), py = y + o * yStep;
    for (let i: usize = 0; i < bytes; i += 16) {
      let sum = f32x4.mul(v128.load32_splat(weights + at), v128.load(x + load<u32>(index + at) + i));
      for (let t = at + 4; t < last; t += 4) {
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(weights + t), v128.load(x + load<u32>(index + t) + i)));
      }
      if (i + 16 <= bytes) v128.store(py + i, sum);
      else storeLanes(py + i, sum, (bytes - i) >> 2);
    }
  }
}
