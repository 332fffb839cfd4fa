/**
 * The specification of f32-gemm and f32-depthwise: plain loops that round after every product and every
 * addition, in the kernels' order. A sum starts at its bias, then runs over kernel points, then channels.
 */

import type { Conv3d, Triple } from "./shape.ts";

/** One element of a sum and how large its terms were, for budgets. */
export interface Sums {
  readonly values: Float32Array;
  /** Sum of absolute products behind each value. */
  readonly magnitudes: Float64Array;
}

/** Adds products one by one in f32. */
export class Accumulator {
  sum: number;
  magnitude: number;

  constructor(start: number) {
    this.sum = start;
    this.magnitude = Math.abs(start);
  }

  add(a: number, b: number): void {
    this.sum = Math.fround(this.sum + Math.fround(a * b));
    this.magnitude += Math.abs(a * b);
  }
}

export function emptySums(length: number): { values: Float32Array; magnitudes: Float64Array } {
  return { values: new Float32Array(length), magnitudes: new Float64Array(length) };
}

/** y[m][n] = bias[n] + sum_k a[m][k] b[k][n]. */
export function gemmReference(
  a: Float32Array,
  b: Float32Array,
  bias: Float32Array | null,
  m: number,
  k: number,
  n: number,
): Sums {
  const out = emptySums(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const total = new Accumulator(bias?.[j] ?? 0);
      for (let s = 0; s < k; s++) total.add(a[i * k + s] ?? 0, b[s * n + j] ?? 0);
      out.values[i * n + j] = total.sum;
      out.magnitudes[i * n + j] = total.magnitude;
    }
  }
  return out;
}

/** Positions of a box in row-major order. */
export function* positions([depth, height, width]: Triple): Generator<Triple> {
  for (let z = 0; z < depth; z++) for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) yield [z, y, x];
}

/** Index of a position in a box, or -1 outside of it. */
export function indexIn([z, y, x]: Triple, size: Triple): number {
  const inside = z >= 0 && y >= 0 && x >= 0 && z < size[0] && y < size[1] && x < size[2];
  return inside ? (z * size[1] + y) * size[2] + x : -1;
}

/** Input position that output position `out` meets through kernel point `point`. */
export function inputPosition(out: Triple, point: Triple, c: Conv3d): Triple {
  const along = (i: 0 | 1 | 2): number => out[i] * c.stride[i] - c.padding[i] + point[i] * c.dilation[i];
  return [along(0), along(1), along(2)];
}

/** y[n][o][p] = bias[o] + sum over points, then channels of the group, of x times w; the border is zero. */
export function convReference(x: Float32Array, w: Float32Array, bias: Float32Array | null, c: Conv3d): Sums {
  const out = emptySums(c.batch * c.outChannels * c.outPixels);
  const [inputs, outputs] = [c.inChannels / c.groups, c.outChannels / c.groups];
  let index = 0;
  for (let n = 0; n < c.batch; n++) {
    for (let o = 0; o < c.outChannels; o++) {
      const firstChannel = Math.floor(o / outputs) * inputs;
      for (const at of positions(c.outSize)) {
        const total = new Accumulator(bias?.[o] ?? 0);
        let point = 0;
        for (const k of positions(c.kernel)) {
          const pixel = indexIn(inputPosition(at, k, c), c.size);
          for (let i = 0; i < inputs; i++) {
            const value = pixel < 0 ? 0 : (x[(n * c.inChannels + firstChannel + i) * c.inPixels + pixel] ?? 0);
            total.add(value, w[(o * inputs + i) * c.points + point] ?? 0);
          }
          point++;
        }
        out.values[index] = total.sum;
        out.magnitudes[index++] = total.magnitude;
      }
    }
  }
  return out;
}

/** dx: each input pixel sums over kernel points from last to first, then output channels of its group. */
export function convInputGradReference(dy: Float32Array, w: Float32Array, c: Conv3d): Sums {
  const out = emptySums(c.batch * c.inChannels * c.inPixels);
  const [inputs, outputs] = [c.inChannels / c.groups, c.outChannels / c.groups];
  const points = [...positions(c.kernel)].map((at, point) => ({ at, point })).reverse();
  let index = 0;
  for (let n = 0; n < c.batch; n++) {
    for (let i = 0; i < c.inChannels; i++) {
      const group = Math.floor(i / inputs);
      for (const at of positions(c.size)) {
        const total = new Accumulator(0);
        for (const { at: k, point } of points) {
          const along = (a: 0 | 1 | 2): number => (at[a] + c.padding[a] - k[a] * c.dilation[a]) / c.stride[a];
          const from: Triple = [along(0), along(1), along(2)];
          if (!from.every(Number.isInteger)) continue;
          const pixel = indexIn(from, c.outSize);
          for (let o = group * outputs; o < (group + 1) * outputs; o++) {
            const value = pixel < 0 ? 0 : (dy[(n * c.outChannels + o) * c.outPixels + pixel] ?? 0);
            total.add(value, w[(o * inputs + (i % inputs)) * c.points + point] ?? 0);
          }
        }
        out.values[index] = total.sum;
        out.magnitudes[index++] = total.magnitude;
      }
    }
  }
  return out;
}
