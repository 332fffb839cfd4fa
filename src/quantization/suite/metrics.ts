/**
 * How far a quantized result is from the float one. Quantized tensors are dequantized first; lists of tensors give
 * lists of numbers. Source: torch/ao/ns/fx/utils.py.
 */

import { ShapeError } from "../../errors.ts";
import { dequantize } from "../../ops/quantize/native.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** Sums over two tensors of one size: of x^2, (x - y)^2, x y and y^2. */
interface Sums {
  readonly xx: number;
  readonly dd: number;
  readonly xy: number;
  readonly yy: number;
}

function sumsOf(where: string, x: Tensor, y: Tensor): Sums {
  if (x.numel !== y.numel) throw new ShapeError(where, { x: x.shape, y: y.shape }, "both must have the same shape");
  const [a, b] = [x.isQuantized ? dequantize(x) : x, y.isQuantized ? dequantize(y) : y];
  let [xx, dd, xy, yy] = [0, 0, 0, 0];
  for (let i = 0; i < a.numel; i++) {
    const [p, q] = [a.data[i]!, b.data[i]!];
    xx += p * p;
    dd += (p - q) * (p - q);
    xy += p * q;
    yy += q * q;
  }
  return { xx, dd, xy, yy };
}

type Measure = (sums: Sums) => number;
type Tensors = Tensor | readonly Tensor[];

function measure(where: string, of: Measure, x: Tensors, y: Tensors): number | number[] {
  const [xs, ys] = [Array.isArray(x) ? (x as Tensor[]) : null, Array.isArray(y) ? (y as Tensor[]) : null];
  if (!xs && !ys) return of(sumsOf(where, x as Tensor, y as Tensor));
  if (!xs || xs.length !== ys?.length) {
    throw new ShapeError(where, { x: xs?.length, y: ys?.length }, "both must be lists of the same length");
  }
  return xs.map((one, i) => of(sumsOf(where, one, ys[i]!)));
}

const sqnr: Measure = ({ xx, dd }) => 20 * Math.log10(Math.sqrt(xx) / Math.sqrt(dd));
const normalizedL2Error: Measure = ({ xx, dd }) => Math.sqrt(dd / xx);
const cosineSimilarity: Measure = ({ xx, xy, yy }) => xy / Math.sqrt(Math.max(xx, 1e-16) * Math.max(yy, 1e-16));

/** Signal to quantization noise: 20 log10(|x| / |x - y|), in dB; Infinity for equal tensors. @throws ShapeError */
export function computeSqnr(x: Tensor, y: Tensor): number;
export function computeSqnr(x: readonly Tensor[], y: readonly Tensor[]): number[];
export function computeSqnr(x: Tensors, y: Tensors): number | number[] {
  return measure("computeSqnr", sqnr, x, y);
}

/** torchao's name of the same number: 20 log10(|ref| / |ref - x|), in dB. @throws ShapeError */
export function computeError(ref: Tensor, x: Tensor): number {
  return computeSqnr(ref, x);
}

/** |x - y| / |x|. @throws ShapeError */
export function computeNormalizedL2Error(x: Tensor, y: Tensor): number;
export function computeNormalizedL2Error(x: readonly Tensor[], y: readonly Tensor[]): number[];
export function computeNormalizedL2Error(x: Tensors, y: Tensors): number | number[] {
  return measure("computeNormalizedL2Error", normalizedL2Error, x, y);
}

/** The cosine of the angle between x and y, each taken as one long vector. @throws ShapeError */
export function computeCosineSimilarity(x: Tensor, y: Tensor): number;
export function computeCosineSimilarity(x: readonly Tensor[], y: readonly Tensor[]): number[];
export function computeCosineSimilarity(x: Tensors, y: Tensors): number | number[] {
  return measure("computeCosineSimilarity", cosineSimilarity, x, y);
}
