/**
 * Softmax and layer norm of one row of stored bytes, in plain loops.
 *
 * Softmax dequantizes, takes f32 exponentials, sums them in double precision and divides in f32. Layer
 * norm takes exact integer sums and goes on in f32 in the order of PyTorch's quantized kernel
 * (quantized_normalize_kernel, kernels/QuantizedOpKernels.cpp), whose whole vectors and remaining
 * elements round by different rules; hence two quantizers.
 */

import { dequantizeReference, quantizeReference } from "../quantize/rules.ts";
import type { Dequantizer, Quantizer } from "../quantize/rules.ts";

const f32 = Math.fround;

export function softmaxReference(x: ArrayLike<number>, input: Dequantizer, output: Quantizer): number[] {
  const real = Array.from(x, (byte) => dequantizeReference(byte, input));
  const most = Math.max(...real);
  const powers = real.map((v) => f32(Math.exp(f32(v - most))));
  const sum = f32(powers.reduce((a, b) => a + b, 0));
  return powers.map((e) => quantizeReference(f32(e / sum), output));
}

export interface ReferenceNorm {
  readonly input: Dequantizer;
  readonly weight: ArrayLike<number>;
  readonly bias: ArrayLike<number>;
  readonly eps: number;
  readonly split: number;
  readonly first: Quantizer;
  readonly second: Quantizer;
}

export function layerNormReference(x: ArrayLike<number>, norm: ReferenceNorm): number[] {
  const { input, eps } = norm;
  const q = Array.from(x, (byte) => (byte ^ input.flip) - input.offset);
  const scale = f32(input.scale);
  const mean = f32(f32(q.reduce((a, b) => a + b, 0)) / q.length);
  const squares = f32(q.reduce((a, b) => a + b * b, 0));
  const variance = Math.max(f32(f32(squares / q.length) - mean * mean), 0);
  const factor = f32(scale / Math.sqrt(f32(f32(variance * scale) * scale) + eps));
  const centre = f32(mean - input.zeroPoint);
  return q.map((v, i) => {
    const normal = f32(f32(v - input.zeroPoint - centre) * factor);
    const y = f32(normal * (norm.weight[i] ?? NaN) + (norm.bias[i] ?? NaN));
    return quantizeReference(y, i < norm.split ? norm.first : norm.second);
  });
}
