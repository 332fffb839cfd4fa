/**
 * Convolutions and matrix products.
 */

import { add, mul } from "../../ops/arithmetic.ts";
import { convTranspose1d, convTranspose2d, convTranspose3d } from "../../ops/conv-transpose.ts";
import { conv1d, conv2d, conv3d } from "../../ops/conv.ts";
import { linear } from "../../ops/linear.ts";
import { matmul } from "../../ops/matmul.ts";
import { pad } from "../../ops/pad.ts";
import { permute, reshape, transpose } from "../../ops/shape.ts";
import { cast } from "../../ops/unary.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";
import { isSymbolic } from "../tracer.ts";
import { einsum } from "./einsum.ts";
import { windowOf } from "./window.ts";

const convs = [conv1d, conv2d, conv3d] as const;
const transposedConvs = [convTranspose1d, convTranspose2d, convTranspose3d] as const;

/** Padding that both sides of every axis share is the convolution's own; other padding comes before it. */
export function padUnevenly(x: Tensor, begin: readonly number[], end: readonly number[], value = 0): Tensor {
  return pad(
    x,
    begin.flatMap((_, i) => [begin[begin.length - 1 - i]!, end[begin.length - 1 - i]!]),
    { value },
  );
}

/** y = x conv w, from attributes of the node. */
export function convolution(call: Call, x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const rank = x.rank - 2;
  const f = convs[rank - 1] ?? call.fail("only 1 to 3 spatial axes can be convolved", { shape: x.shape });
  const { stride, dilation, begin, end } = windowOf(call, x.shape, weight.shape.slice(2));
  const even = sameShape(begin, end) && begin.every((size) => size >= 0);
  const options = { stride, dilation, groups: call.int("group", 1), padding: even ? begin : begin.map(() => 0) };
  return f(even ? x : padUnevenly(x, begin, end), weight, bias, options);
}

interface TransposedPads {
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

function transposedPads(
  call: Call,
  full: Shape,
  stride: readonly number[],
  x: Shape,
  extra: readonly number[],
): TransposedPads {
  const same = call.string("auto_pad", "NOTSET");
  const wanted =
    call.ints("output_shape") ?? (same.startsWith("SAME") ? x.slice(2).map((size, i) => size * stride[i]!) : null);
  if (!wanted) {
    const pads = call.ints("pads") ?? full.flatMap(() => [0, 0]);
    return { begin: pads.slice(0, full.length), end: pads.slice(full.length) };
  }
  const totals = full.map((size, i) => size + extra[i]! - wanted.slice(-full.length)[i]!);
  const half = totals.map((total) => Math.floor(total / 2));
  const other = totals.map((total, i) => total - half[i]!);
  return same === "SAME_UPPER" ? { begin: half, end: other } : { begin: other, end: half };
}

/** The whole transposed product, then what padding cuts off each side, or output padding adds to the end. */
function convTransposed(call: Call): Tensor {
  const [x, weight, bias] = [call.input(0), call.input(1), call.optional(2)];
  const rank = x.rank - 2;
  const f = transposedConvs[rank - 1] ?? call.fail("only 1 to 3 spatial axes can be convolved", { shape: x.shape });
  const stride = call.ints("strides") ?? new Array<number>(rank).fill(1);
  const dilation = call.ints("dilations") ?? new Array<number>(rank).fill(1);
  const extra = call.ints("output_padding") ?? new Array<number>(rank).fill(0);
  const groups = call.int("group", 1);
  const full = x.shape
    .slice(2)
    .map((size, i) => (size - 1) * stride[i]! + dilation[i]! * (weight.shape[i + 2]! - 1) + 1);
  const { begin, end } = transposedPads(call, full, stride, x.shape, extra);
  if (
    sameShape(begin, end) &&
    begin.every((size) => size >= 0) &&
    extra.every((e, i) => e < Math.max(stride[i]!, dilation[i]!))
  )
    return f(x, weight, bias, { stride, dilation, groups, padding: begin, outputPadding: extra });
  const whole = f(x, weight, null, { stride, dilation, groups });
  const cut = padUnevenly(
    whole,
    begin.map((b) => -b),
    end.map((e, i) => extra[i]! - e),
  );
  return bias ? add(cut, reshape(bias, [1, bias.numel, ...begin.map(() => 1)])) : cut;
}

/** Integers multiply as doubles, which hold every product of theirs that int64 arithmetic would want. */
export function product(a: Tensor, b: Tensor): Tensor {
  if (isFloat(a.dtype)) return matmul(a, b);
  const wide: DType = "float64";
  return cast(matmul(cast(a, wide), cast(b, wide)), a.dtype);
}

/** alpha A' B' + beta C; with a constant C of one row it is a linear layer. */
function gemm(call: Call): Tensor {
  const flipped = (x: Tensor, name: string): Tensor => (call.int(name) === 1 ? transpose(x, 0, 1) : x);
  const a = flipped(call.input(0), "transA");
  const [b, c] = [call.input(1), call.optional(2)];
  const [alpha, beta] = [call.float("alpha", 1), call.float("beta", 1)];
  const asRow = c === null || (c.rank === 1 && c.shape[0] === (call.int("transB") === 1 ? b.shape[0] : b.shape[1]));
  if (alpha === 1 && beta === 1 && asRow && isFloat(a.dtype))
    return linear(a, call.int("transB") === 1 ? b : transpose(b, 0, 1), c);
  const y = product(a, flipped(b, "transB"));
  const scaled = alpha === 1 ? y : mul(y, alpha);
  return c ? cast(add(scaled, beta === 1 ? c : mul(c, beta)), a.dtype) : scaled;
}

/** A product with a stored matrix is a linear layer, whose weight lies the other way round. */
function matrixProduct(call: Call): Tensor {
  const [a, b] = [call.input(0), call.input(1)];
  if (isSymbolic(a) && !isSymbolic(b) && b.rank === 2 && a.rank >= 2 && isFloat(a.dtype))
    return linear(a, permute(b, [1, 0]), null);
  return product(a, b);
}

/** Sums patches back into an image: the transpose of cutting it into columns. */
function col2Im(call: Call): Tensor {
  const x = call.input(0);
  const image = Array.from(call.input(1).data);
  const block = Array.from(call.input(2).data);
  const rank = image.length;
  const fill = (name: string, value: number): number[] => call.ints(name) ?? new Array<number>(rank).fill(value);
  const [stride, dilation] = [fill("strides", 1), fill("dilations", 1)];
  const pads = call.ints("pads") ?? new Array<number>(2 * rank).fill(0);
  const taps = block.reduce((a, b) => a * b, 1);
  const [n, columns, count] = x.shape as [number, number, number];
  const channels = columns / taps;
  const steps = image.map(
    (size, i) => Math.floor((size + pads[i]! + pads[i + rank]! - dilation[i]! * (block[i]! - 1) - 1) / stride[i]!) + 1,
  );
  const out = call.filled([n, channels, ...image], 0, x.dtype);
  return call.native([out], () => {
    x.data.forEach((v: number, index: number) => {
      let place = index % count;
      const column = Math.floor(index / count) % columns;
      let tap = column % taps;
      let at = 0;
      let step = 1;
      for (let i = rank - 1; i >= 0; i--) {
        const position = (place % steps[i]!) * stride[i]! + (tap % block[i]!) * dilation[i]! - pads[i]!;
        if (position < 0 || position >= image[i]!) return;
        at += position * step;
        step *= image[i]!;
        place = Math.floor(place / steps[i]!);
        tap = Math.floor(tap / block[i]!);
      }
      const plane = Math.floor(index / (count * columns)) * channels + Math.floor(column / taps);
      out.data[plane * step + at]! += v;
    });
    return [out];
  })[0]!;
}

export const productRules: OnnxRules = {
  Col2Im: rule(col2Im),
  Conv: rule((call) => convolution(call, call.input(0), call.input(1), call.optional(2))),
  ConvTranspose: rule(convTransposed),
  Einsum: rule(einsum),
  Gemm: rule(gemm),
  MatMul: rule(matrixProduct),
};
