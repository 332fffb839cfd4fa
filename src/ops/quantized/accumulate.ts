/**
 * Exact sums of products of centred integers, sum of (qx - zx) * (qw - zw): the heart of linear and convolution.
 *
 * The operands are small integers, so the float32 kernels give the exact sum, in whatever order they add, as long
 * as no partial sum can reach 2^24 (and no transform is put in between, as Winograd's). That is checked against the
 * actual operands before those kernels are used. Where it does not hold, the weight is cut into two digits of base 16
 * whose sums are taken one by one; what does not fit even so is added up in double precision by the reference loops.
 * The result is the same in all cases.
 */

import { matmulF32 } from "../../engine/eager/index.ts";
import type { TypedArray } from "../../tensor/dtype.ts";
import type { QParams } from "../../tensor/qparams.ts";
import type { Shape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { ConvAttrs } from "../conv-geometry.ts";
import { computeConv, computeInputGrad } from "../conv-gradient.ts";
import { axisView } from "../loops.ts";
import { matrixPairs, productReference } from "../matmul.ts";
import { forEachChannelRun } from "../quantize/loops.ts";

/** Integers below this are exact in float32, and so is every sum of them that stays below. */
const EXACT = 2 ** 24;

/** q - z, as floats. */
function centred(q: TypedArray, qparams: QParams, shape: Shape): Float32Array {
  const out = new Float32Array(q.length);
  if (qparams.kind === "perTensor") {
    const { zeroPoint } = qparams;
    for (let i = 0; i < out.length; i++) out[i] = q[i]! - zeroPoint;
  } else {
    forEachChannelRun(shape, qparams.axis, (start, end, c) => {
      for (let i = start; i < end; i++) out[i] = q[i]! - qparams.zeroPoints[c]!;
    });
  }
  return out;
}

function largest(values: Float32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

/**
 * Largest sum of |w| over the elements that go into one output channel; w is seen as [groups, outer, channels, inner]
 * where all outer and inner elements of a group's channel are added.
 */
function heaviest(w: Float32Array, groups: number, outer: number, channels: number): number {
  const inner = w.length / (groups * outer * channels);
  let [most, at] = [0, 0];
  for (let g = 0; g < groups; g++) {
    const sums = new Float64Array(channels);
    for (let o = 0; o < outer; o++) {
      for (let c = 0; c < channels; c++) for (const end = at + inner; at < end; at++) sums[c]! += Math.abs(w[at]!);
    }
    most = sums.reduce((a, b) => Math.max(a, b), most);
  }
  return most;
}

/** Where the output channels lie in a weight, for `heaviest`. */
interface Layout {
  readonly groups: number;
  readonly outer: number;
  readonly channels: number;
}

const BASE = 16;

/** w = high * 16 + low, with low from -8 to 7. */
function digits(w: Float32Array): { high: Float32Array; low: Float32Array } {
  const [high, low] = [new Float32Array(w.length), new Float32Array(w.length)];
  for (let i = 0; i < w.length; i++) {
    const digit = Math.floor((w[i]! + BASE / 2) / BASE);
    high[i] = digit;
    low[i] = w[i]! - digit * BASE;
  }
  return { high, low };
}

type Product = (x: Tensor, w: Tensor) => TypedArray;

/** The sums that `product` forms of centred operands, exact. */
function exactSums(x: Tensor, weight: Tensor, { groups, outer, channels }: Layout, product: Product): TypedArray {
  const [qx, qw] = [centred(x.data, x.qparams!, x.shape), centred(weight.data, weight.qparams!, weight.shape)];
  const most = largest(qx);
  const fits = (w: Float32Array): boolean => most * heaviest(w, groups, outer, channels) < EXACT;
  const input = new Tensor("float32", x.shape, qx);
  const times = (w: Float32Array): TypedArray => product(input, new Tensor("float32", weight.shape, w));
  if (fits(qw)) return times(qw);
  const { high, low } = digits(qw);
  if (fits(high) && fits(low)) {
    const [upper, lower] = [times(high), times(low)];
    const sums = new Float64Array(upper.length);
    for (let i = 0; i < sums.length; i++) sums[i] = upper[i]! * BASE + lower[i]!;
    return sums;
  }
  const double = (q: Float32Array, shape: Shape): Tensor => new Tensor("float64", shape, Float64Array.from(q));
  return product(double(qx, x.shape), double(qw, weight.shape));
}

/** a [m, k] times the transpose of w [n, k]. */
function product2d(a: Tensor, w: Tensor, m: number): TypedArray {
  const [n, k] = w.shape as readonly [number, number];
  if (a.dtype === "float32") {
    const out = new Float32Array(m * n);
    matmulF32(a.data as Float32Array, w.data as Float32Array, out, { m, k, n, transB: true });
    return out;
  }
  const transposed = new Float64Array(w.numel);
  for (let i = 0; i < w.numel; i++) transposed[(i % k) * n + Math.floor(i / k)] = w.data[i]!;
  const out = new Float64Array(m * n);
  productReference(a.data, transposed, out, { m, k, n });
  return out;
}

/** Sums of x [..., k] with weight [n, k], as [rows, n]. */
export function linearSums(x: Tensor, weight: Tensor): TypedArray {
  const [n, k] = weight.shape as readonly [number, number];
  if (x.numel === 0 || n === 0) return new Float32Array(0);
  return exactSums(x, weight, { groups: 1, outer: 1, channels: n }, (a, w) => product2d(a, w, x.numel / k));
}

/** Columns of a matrix [k, n] as rows. */
function transposed(data: TypedArray, k: number, n: number): TypedArray {
  const out = data.slice();
  for (let i = 0; i < k; i++) for (let j = 0; j < n; j++) out[j * k + i] = data[i * n + j]!;
  return out;
}

/** Sums of a @ b, batched and broadcasting, one matrix behind the other. */
export function matmulSums(a: Tensor, b: Tensor): Float64Array {
  const { m, k, n, pairs } = matrixPairs(a.shape, b.shape);
  const sums = new Float64Array(pairs.length * m * n);
  pairs.forEach(([ia, ib], i) => {
    const left = new Tensor(a.dtype, [m, k], a.data.subarray(ia * m * k, (ia + 1) * m * k), a.qparams);
    const columns = transposed(b.data.subarray(ib * k * n, (ib + 1) * k * n), k, n);
    sums.set(linearSums(left, new Tensor(b.dtype, [n, k], columns, b.qparams)), i * m * n);
  });
  return sums;
}

/** Sums of a convolution of x [N, C, ...] with weight [O, C / groups, ...], laid out as y of shape `y`. */
export function convSums(x: Tensor, weight: Tensor, y: Shape, attrs: ConvAttrs): TypedArray {
  const layout = { groups: 1, outer: 1, channels: weight.shape[0]! };
  return exactSums(x, weight, layout, (a, w) => computeConv(a, w, null, y, attrs, true).data);
}

/**
 * Sums of a transposed convolution of x [N, C, ...] with weight [C, O / groups, ...]: the input gradient of the
 * convolution that takes y to x.
 */
export function convTransposeSums(x: Tensor, weight: Tensor, y: Shape, attrs: ConvAttrs): TypedArray {
  const { outer, size } = axisView(weight.shape, 1);
  const layout = { groups: attrs.groups, outer: outer / attrs.groups, channels: size };
  return exactSums(x, weight, layout, (a, w) => computeInputGrad(a, w, y, attrs, true).data);
}
