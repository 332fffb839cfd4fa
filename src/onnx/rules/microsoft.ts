/**
 * Quantized operators of onnxruntime's own domain, com.microsoft, in QDQ form.
 */

import { leakyRelu } from "../../ops/activation-linear.ts";
import { sigmoid } from "../../ops/activation-smooth.ts";
import { softmax } from "../../ops/activation-softmax.ts";
import { add, mul } from "../../ops/arithmetic.ts";
import { avgPool2d } from "../../ops/avg-pool.ts";
import { cat } from "../../ops/cat.ts";
import { linear } from "../../ops/linear.ts";
import { integerMatmul } from "../../ops/quantized/integer-matmul.ts";
import { dequantizeAffine } from "../../ops/quantize/affine.ts";
import { mean } from "../../ops/reduce.ts";
import { permute, reshape } from "../../ops/shape.ts";
import { slice } from "../../ops/slicing.ts";
import { cast } from "../../ops/unary.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { rule } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";
import { unfolded } from "../tracer.ts";
import {
  dequantizeFrom,
  dequantizeLinear,
  dynamicQuantize,
  operand,
  quantizeLinear,
  quantizeTo,
  result,
} from "./quantize.ts";
import { windowOf } from "./window.ts";

/** Weights of 4 or 8 bits in blocks along K: a row of bytes an output, the low half first. */
function matMulNBits(call: Call): Tensor {
  const [a, packed, scales, zeroPoints, bias] = [
    call.input(0),
    call.input(1),
    call.input(2),
    call.optional(3),
    call.optional(5),
  ];
  const [rows, depth, bits, block] = [call.int("N"), call.int("K"), call.int("bits", 4), call.int("block_size")];
  if ((bits !== 4 && bits !== 8) || block < 16)
    call.fail("weights must have 4 or 8 bits in blocks of at least 16", { bits, block });
  if (call.optional(4)) call.fail("weights in another order (g_idx) are not supported");
  const blocks = Math.ceil(depth / block);
  const width = blocks * block;
  const q = unpack(packed, bits, [rows, width]);
  const z = zeroPoints && !isFloat(zeroPoints.dtype) ? unpack(zeroPoints, bits, [rows, blocks]) : null;
  const zero = z ?? call.filled([rows, blocks], 2 ** (bits - 1), "uint8");
  const weight = unfolded(() =>
    dequantizeAffine(q, [1, block], reshape(scales, [rows, blocks]), zero, { quantMin: 0, quantMax: 2 ** bits - 1 }),
  );
  const used = width === depth ? weight : slice(weight, 1, 0, depth);
  return linear(a, used, bias);
}

/** Rows of `bits`-wide integers, each row starting on a byte. */
function unpack(packed: Tensor, bits: number, [rows, width]: readonly [number, number]): Tensor {
  const bytes = packed.data;
  const perRow = bytes.length / rows;
  const out = new Uint8Array(rows * width);
  for (let i = 0; i < out.length; i++) {
    const [row, k] = [Math.floor(i / width), i % width];
    const byte = bytes[row * perRow + (bits === 8 ? k : k >> 1)]!;
    out[i] = bits === 8 ? byte : (byte >> ((k & 1) * 4)) & 15;
  }
  return new Tensor("uint8", [rows, width], out);
}

/** Runs a float function between one dequantize and one quantize. */
function between(f: (x: Tensor, call: Call) => Tensor): (call: Call) => Tensor {
  return (call) => result(call, f(operand(call, 0), call), 3);
}

function pairwise(f: (a: Tensor, b: Tensor) => Tensor): (call: Call) => Tensor {
  return (call) => result(call, f(operand(call, 0), operand(call, 3)), 6);
}

function concatenated(call: Call): Tensor {
  const count = (call.inputs.length - 2) / 3;
  const parts = Array.from({ length: count }, (_, i) => operand(call, 2 + 3 * i));
  const zeroPoint = call.optional(1);
  const y = cat(parts, normalizeAxis("QLinearConcat", call.int("axis"), parts[0]!.rank));
  return quantizeTo(
    call,
    y,
    { scale: call.input(0), zeroPoint, axis: 0, block: 1 },
    zeroPoint?.dtype ?? call.input(2).dtype,
  );
}

/** Channels last when the node says so. */
function channelsFirst(f: (x: Tensor, call: Call) => Tensor): (x: Tensor, call: Call) => Tensor {
  return (x, call) => {
    if (call.int("channels_last") === 0) return f(x, call);
    const last = x.rank - 1;
    const axes = x.shape.map((_, i) => i);
    const first = permute(x, [0, last, ...axes.slice(1, last)]);
    return permute(f(first, call), [0, ...axes.slice(2), 1]);
  };
}

/** Operators of onnxruntime's own domain. */
export const microsoftRules: OnnxRules = {
  DequantizeLinear: rule(dequantizeLinear),
  DynamicQuantizeLinear: rule(dynamicQuantize),
  MatMulIntegerToFloat: rule((call) => {
    const sums = matMulOfFloats(call);
    const bias = call.optional(6);
    return bias ? add(sums, bias) : sums;
  }),
  MatMulNBits: rule(matMulNBits),
  QGemm: rule(quantizedGemm),
  QLinearAdd: rule(pairwise(add)),
  QLinearAveragePool: rule(between(channelsFirst((x, call) => averagePool(x, call)))),
  QLinearConcat: rule(concatenated),
  QLinearGlobalAveragePool: rule(
    between(
      channelsFirst((x) =>
        mean(
          x,
          x.shape.slice(2).map((_, i) => i + 2),
          { keepdim: true },
        ),
      ),
    ),
  ),
  QLinearLeakyRelu: rule(between((x, call) => leakyRelu(x, { negativeSlope: call.float("alpha", Math.fround(0.01)) }))),
  QLinearMul: rule(pairwise(mul)),
  QLinearReduceMean: rule(
    between((x, call) => mean(x, call.ints("axes") ?? [], { keepdim: call.int("keepdims", 1) === 1 })),
  ),
  QLinearSigmoid: rule(between((x) => sigmoid(x))),
  QLinearSoftmax: rule((call) => result(call, softmax(operand(call, 0), call.int("axis", -1)), 3)),
  QuantizeLinear: rule(quantizeLinear),
};

/** A B + C of integers, C in int32 in units of the product's scale; the result is float unless it has a scale. */
function quantizedGemm(call: Call): Tensor {
  if (call.float("alpha", 1) !== 1 || call.int("transA") !== 0) call.fail("alpha must be 1 and A not transposed");
  const turned = call.int("transB") === 1;
  const [a, b, c] = [operand(call, 0), operand(call, 3, turned ? 0 : 1), call.optional(6)];
  const scale = mul(call.input(1), call.input(4));
  const units = reshape(scale, scale.numel === 1 ? [] : [scale.numel]);
  const bias = c && dequantizeFrom(call, c, { scale: units, zeroPoint: null, axis: 0, block: 1 }, "float32");
  const y = linear(a, turned ? b : permute(b, [1, 0]), bias);
  return call.optional(7) ? result(call, y, 7) : y;
}

function averagePool(x: Tensor, call: Call): Tensor {
  const kernel = call.ints("kernel_shape") ?? call.fail("needs kernel_shape");
  const { stride, begin, end } = windowOf(call, x.shape, kernel);
  if (begin.some((b, i) => b !== end[i])) call.fail("padding must be the same on both sides", { begin, end });
  const options = {
    stride,
    padding: begin,
    ceilMode: call.int("ceil_mode") === 1,
    countIncludePad: call.int("count_include_pad") === 1,
  };
  return avgPool2d(x, kernel, options);
}

function matMulOfFloats(call: Call): Tensor {
  const sums = integerMatmul(call.input(0), call.input(1), call.optional(4), call.optional(5));
  return mul(cast(sums, "float32"), mul(call.input(2), call.input(3)));
}
