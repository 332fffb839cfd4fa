/**
 * Convolution and its two gradients as plain loops: the definition the kernels are tested against.
 *
 * All spatial ranks run as three-dimensional ones with leading axes of size 1. Sums are kept in double
 * precision and rounded once when stored. The three functions are the three ways to contract
 * y[n,o,p] = sum over c,k of x[n,c,p*stride - padding + k*dilation] * w[o,c,k].
 */

import type { TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { ConvSizes } from "./conv-geometry.ts";

function lift(values: readonly number[], neutral: number): readonly [number, number, number] {
  const filled = [...new Array<number>(3 - values.length).fill(neutral), ...values];
  return [filled[0]!, filled[1]!, filled[2]!];
}

/**
 * Calls `row(x0, w0, y0, count, step)` for every row of products: for i below count,
 * y[y0 + i] and x[x0 + i * step] meet the single weight w[w0].
 */
function forEachRow(
  sizes: ConvSizes,
  row: (x0: number, w0: number, y0: number, count: number, step: number) => void,
): void {
  const { batch, inChannels, outChannels, groups } = sizes;
  const [inD, inH, inW] = lift(sizes.size, 1);
  const [kD, kH, kW] = lift(sizes.kernel, 1);
  const [outD, outH, outW] = lift(sizes.outSize, 1);
  const stride = lift(sizes.stride, 1);
  const padding = lift(sizes.padding, 0);
  const dilation = lift(sizes.dilation, 1);
  const perGroupIn = inChannels / groups;
  const perGroupOut = outChannels / groups;
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outChannels; o++) {
      const firstChannel = Math.floor(o / perGroupOut) * perGroupIn;
      for (let c = 0; c < perGroupIn; c++) {
        const xPlane = (n * inChannels + firstChannel + c) * inD * inH * inW;
        const yPlane = (n * outChannels + o) * outD * outH * outW;
        let w0 = (o * perGroupIn + c) * kD * kH * kW;
        for (let kd = 0; kd < kD; kd++) {
          for (let kh = 0; kh < kH; kh++) {
            for (let kw = 0; kw < kW; kw++, w0++) {
              const shift = kw * dilation[2] - padding[2];
              const first = Math.max(0, Math.ceil(-shift / stride[2]));
              const last = Math.min(outW - 1, Math.floor((inW - 1 - shift) / stride[2]));
              if (last < first) continue;
              for (let od = 0; od < outD; od++) {
                const id = od * stride[0] - padding[0] + kd * dilation[0];
                if (id < 0 || id >= inD) continue;
                for (let oh = 0; oh < outH; oh++) {
                  const ih = oh * stride[1] - padding[1] + kh * dilation[1];
                  if (ih < 0 || ih >= inH) continue;
                  const x0 = xPlane + (id * inH + ih) * inW + first * stride[2] + shift;
                  row(x0, w0, yPlane + (od * outH + oh) * outW + first, last - first + 1, stride[2]);
                }
              }
            }
          }
        }
      }
    }
  }
}

/** y = conv(x, w) + bias. */
export function convReference(
  x: TypedArray,
  w: TypedArray,
  bias: TypedArray | null,
  y: TypedArray,
  sizes: ConvSizes,
): void {
  const plane = numel(sizes.outSize);
  const sums = new Float64Array(y.length);
  if (bias) for (let i = 0; i < sums.length; i++) sums[i] = bias[Math.floor(i / plane) % sizes.outChannels]!;
  forEachRow(sizes, (x0, w0, y0, count, step) => {
    const weight = w[w0]!;
    for (let i = 0; i < count; i++) sums[y0 + i]! += weight * x[x0 + i * step]!;
  });
  y.set(sums);
}

/** dx: the gradient of conv with respect to x, which is also the transposed convolution of dy. */
export function convInputGradReference(dy: TypedArray, w: TypedArray, dx: TypedArray, sizes: ConvSizes): void {
  const sums = new Float64Array(dx.length);
  forEachRow(sizes, (x0, w0, y0, count, step) => {
    const weight = w[w0]!;
    for (let i = 0; i < count; i++) sums[x0 + i * step]! += weight * dy[y0 + i]!;
  });
  dx.set(sums);
}

/** dw: the gradient of conv with respect to the weight. */
export function convWeightGradReference(x: TypedArray, dy: TypedArray, dw: TypedArray, sizes: ConvSizes): void {
  const sums = new Float64Array(dw.length);
  forEachRow(sizes, (x0, w0, y0, count, step) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += x[x0 + i * step]! * dy[y0 + i]!;
    sums[w0]! += sum;
  });
  dw.set(sums);
}
