/** The specification of f32-conv-weight and f32_depthwise_weight: one sum an element, over images, then pixels in order. */

import type { Conv3d } from "../f32-gemm/shape.ts";
import { Accumulator, emptySums, indexIn, inputPosition, positions } from "../f32-gemm/reference.ts";
import type { Sums } from "../f32-gemm/reference.ts";

/** dw[o][i][point] = sum of dy[n][o][pixel] * x[n][i][window of pixel at point]; the border is zero. */
export function convWeightGradReference(dy: Float32Array, x: Float32Array, c: Conv3d): Sums {
  const [inputs, outputs] = [c.inChannels / c.groups, c.outChannels / c.groups];
  const out = emptySums(c.outChannels * inputs * c.points);
  let index = 0;
  for (let o = 0; o < c.outChannels; o++) {
    const firstChannel = Math.floor(o / outputs) * inputs;
    for (let i = 0; i < inputs; i++) {
      for (const k of positions(c.kernel)) {
        const total = new Accumulator(0);
        for (let n = 0; n < c.batch; n++) {
          let p = (n * c.outChannels + o) * c.outPixels;
          for (const at of positions(c.outSize)) {
            const pixel = indexIn(inputPosition(at, k, c), c.size);
            total.add(
              dy[p++] ?? 0,
              pixel < 0 ? 0 : (x[(n * c.inChannels + firstChannel + i) * c.inPixels + pixel] ?? 0),
            );
          }
        }
        out.values[index] = total.sum;
        out.magnitudes[index++] = total.magnitude;
      }
    }
  }
  return out;
}
