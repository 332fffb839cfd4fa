// Weight gradient of a Winograd convolution, F(3x3, 4x4): the same points, with the output gradient in the role of the
// kernel. Transformed blocks are multiplied and summed over all images; only the sums are transformed back.

import { f32_conv_weight_6x8 } from "../f32-conv-weight/f32-conv-weight.as";
import { held } from "../shared/vector.as";
import { GAP, HALF_BLOCK, transformGradient, transformInput, transformSums } from "./transform.as";

/**
 * Weight gradient of a 3x3 convolution with stride 1, summed in the transformed domain: du[slot][36][n][channels] (64 bytes
 * between planes) = sum over the slot's blocks in order. Blocks are shared among `slots` slots, and [slotFrom, slotTo) are
 * computed: threads that share slots change no bit. f32_winograd_weight_grad adds the slots up.
 *
 * x: bordered NHWC as in f32_winograd_conv; dy: NHWC with zeros up to whole 4x4 blocks. scratch:
 * 36 * (group * (channels + n) + 32) floats, one table entry, and 1 KB. channels % 4 == 0 and n % 4 == 0.
 */
export function f32_winograd_weight_sums(
  slotFrom: usize, slotTo: usize, slots: usize, blocks: usize, blocksX: usize, blocksPerImage: usize, x: usize, xImage: usize, xRow: usize,
  channels: usize, dy: usize, dyImage: usize, dyRow: usize, n: usize, du: usize, scratch: usize, group: usize,
): void {
  const vRow = channels << 2, mRow = n << 2, vPlane = group * vRow + GAP, mPlane = group * mRow + GAP, duPlane = n * vRow + GAP;
  const v = scratch, m = v + 36 * vPlane, zero = m + 36 * mPlane, temporary = (zero + 4 + 15) & ~15;
  const two = held(2, temporary + HALF_BLOCK), four = held(4, temporary + HALF_BLOCK + 4);
  store<u32>(zero, 0);
  for (let slot = slotFrom; slot < slotTo; slot++) {
    const sums = du + slot * 36 * duPlane, end = (slot + 1) * blocks / slots;
    memory.fill(sums, 0, 36 * duPlane);
    for (let first = slot * blocks / slots; first < end; first += group) {
      const count = min(group, end - first);
      for (let i: usize = 0; i < count; i++) {
        const image = (first + i) / blocksPerImage, inside = (first + i) % blocksPerImage;
        const top = (inside / blocksX) * 4, left = (inside % blocksX) * 4;
        const from = x + image * xImage + top * xRow + left * vRow, gradient = dy + image * dyImage + top * dyRow + left * mRow;
        for (let c: usize = 0; c < vRow; c += 16) transformInput(from + c, xRow, vRow, v + i * vRow + c, vPlane, two, four, temporary);
        for (let o: usize = 0; o < mRow; o += 16) {
          transformGradient(gradient + o, dyRow, mRow, m + i * mRow + o, mPlane, two, four, temporary);
        }
      }
      for (let i: usize = 0; i < 36; i++) {
        f32_conv_weight_6x8(
          0, n, 1, zero, zero, count, v + i * vPlane, vRow, 1, zero, channels, m + i * mPlane, mRow, sums + i * duPlane, vRow,
        );
      }
    }
  }
}

/** dw[n][9][channels] from the sums of f32_winograd_weight_sums, whose slots are added to the first. temporary: 1 KB. channels % 4 == 0. */
export function f32_winograd_weight_grad(channels: usize, n: usize, du: usize, slots: usize, dw: usize, temporary: usize): void {
  const vRow = channels << 2, plane = n * vRow + GAP, bytes = plane * 36;
  for (let slot: usize = 1; slot < slots; slot++) {
    const from = du + slot * bytes;
    for (let i: usize = 0; i < bytes; i += 16) v128.store(du + i, f32x4.add(v128.load(du + i), v128.load(from + i)));
  }
  const constants = temporary + HALF_BLOCK, quarter = held(1.0 / 4.0, constants), sixth = held(1.0 / 6.0, constants + 4);
  const twelfth = held(1.0 / 12.0, constants + 8), small = held(1.0 / 24.0, constants + 12);
  for (let o: usize = 0; o < n; o++) {
    for (let c: usize = 0; c < vRow; c += 16) {
      const to = dw + o * 9 * vRow + c;
      transformSums(du + o * vRow + c, plane, to, 3 * vRow, vRow, quarter, sixth, twelfth, small, temporary);
    }
  }
}
