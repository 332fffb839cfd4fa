/**
 * Quantization operators of ONNX. QuantizeLinear and DequantizeLinear are fewbit's decomposed operators; operators on
 * integers (QLinearConv, ...) are said in QDQ form, which is what the engine lowers to its integer kernels.
 */

import { mul, sub } from "../../ops/arithmetic.ts";
import { decomposedDequantizePerChannel, decomposedDequantizePerTensor } from "../../ops/quantize/decomposed.ts";
import { decomposedQuantizePerChannel, decomposedQuantizePerTensor } from "../../ops/quantize/decomposed.ts";
import { dynamicQuantizeLinear } from "../../ops/quantize/dynamic-linear.ts";
import { dequantizeAffine } from "../../ops/quantize/affine.ts";
import { reshape } from "../../ops/shape.ts";
import { cast } from "../../ops/unary.ts";
import { floatsOf, fromDoubles } from "../../ops/loops.ts";
import { rint } from "../../tensor/rounding.ts";
import { roundingTo } from "../../tensor/small-floats.ts";
import { dtypeInfo, isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { normalizeAxis, stridesOf } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { matmul } from "../../ops/matmul.ts";
import { integerMatmul } from "../../ops/quantized/integer-matmul.ts";
import { rule, valueOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";
import { requireDType } from "../dtypes.ts";
import { isSymbolic, unfolded } from "../tracer.ts";
import { convolution } from "./product.ts";

/** Parameters of one quantization: a number each, or one a slice of an axis, or one a block. */
interface Parameters {
  readonly scale: Tensor;
  readonly zeroPoint: Tensor | null;
  readonly axis: number;
  readonly block: number;
}

function range(dtype: DType): { quantMin: number; quantMax: number; dtype: DType } {
  const { min, max } = dtypeInfo[dtype];
  return { quantMin: min, quantMax: max, dtype };
}

const isSingle = ({ scale }: Parameters): boolean => scale.numel === 1;

function literal(value: Tensor | null): Tensor | number {
  if (value === null) return 0;
  return isSymbolic(value) ? value : valueOf(value);
}

/** Row of the parameters that an element belongs to, for blocks and axes alike. */
function parameterOf(shape: Shape, { scale, axis, block }: Parameters): (at: number) => number {
  if (scale.numel === 1) return () => 0;
  const strides = stridesOf(shape);
  const [size, step] = [shape[axis]!, strides[axis]!];
  if (scale.rank < 2) return (at) => Math.floor(at / step) % size;
  const blocks = Math.ceil(size / block);
  return (at) => {
    const slice = Math.floor(at / step);
    return (Math.floor(slice / size) * blocks + Math.floor((slice % size) / block)) * step + (at % step);
  };
}

/** q = saturate(rne(x / s) + z), a division and not a product, for what the decomposed operators do not take. */
function quantizeAnyway(call: Call, x: Tensor, given: Parameters, dtype: DType): Tensor {
  const { scale, zeroPoint } = given;
  const type = { dtype, shape: x.shape };
  return call.native([type], () => {
    const { min, max } = dtypeInfo[dtype];
    const row = parameterOf(x.shape, given);
    const [s, z] = [scale.data, zeroPoint?.data];
    const small = isFloat(dtype) ? roundingTo(dtype) : null;
    const values = Float64Array.from(floatsOf(x), (v, at) => {
      const i = row(at);
      const scaled = Math.fround(v / s[i]!);
      if (small) return small(Math.min(Math.max(scaled, min), max));
      return Math.min(Math.max(rint(scaled) + (z?.[i] ?? 0), min), max);
    });
    return [fromDoubles(type, values)];
  })[0]!;
}

export function quantizeTo(call: Call, x: Tensor, given: Parameters, dtype: DType): Tensor {
  const { scale, zeroPoint, axis } = given;
  // The decomposed operators multiply by 1 / s, which can differ at ties; they are what the engine knows how to run,
  // so a graph gets them, and whatever is computed here and now gets the division.
  const plain =
    isSymbolic(x) && !isSymbolic(scale) && x.dtype === "float32" && scale.dtype === "float32" && !isFloat(dtype);
  if (plain && isSingle(given)) return decomposedQuantizePerTensor(x, literal(scale), literal(zeroPoint), range(dtype));
  if (plain && scale.rank === 1) return decomposedQuantizePerChannel(x, scale, zeroPoint, axis, range(dtype));
  return quantizeAnyway(call, x, given, dtype);
}

/** Stored 4-bit integers as the bytes that the engine's kernels read, in the same range. */
function asBytes(q: Tensor): Tensor {
  if (isSymbolic(q) || (q.dtype !== "int4" && q.dtype !== "uint4")) return q;
  return cast(q, q.dtype === "int4" ? "int8" : "uint8");
}

export function dequantizeFrom(call: Call, integers: Tensor, given: Parameters, outDType: DType): Tensor {
  const { scale, zeroPoint, axis, block } = given;
  const q = asBytes(integers);
  const attrs = { ...range(integers.dtype), dtype: q.dtype, outDType };
  if (isSingle(given)) {
    const dequantize = (): Tensor => decomposedDequantizePerTensor(q, literal(scale), literal(zeroPoint), attrs);
    // A stored single number is no weight but, say, what a Pad pads with, which its rule wants to know.
    return q.numel === 1 ? dequantize() : unfolded(dequantize);
  }
  if (scale.rank === 1)
    return unfolded(() => decomposedDequantizePerChannel(q, scale, zeroPoint && asBytes(zeroPoint), axis, attrs));
  const size = q.shape[axis]!;
  if (size % block !== 0) call.fail("blocks must divide the axis", { shape: q.shape, axis, block });
  const blockSize = q.shape.map((_, i) => (i === axis ? block : 1));
  const { quantMin, quantMax } = attrs;
  const zero = zeroPoint && asBytes(zeroPoint);
  return unfolded(() => dequantizeAffine(q, blockSize, scale, zero, { quantMin, quantMax, outDType }));
}

function parameters(call: Call, x: Tensor, scale: Tensor, zeroPoint: Tensor | null): Parameters {
  const axis = scale.rank === 0 ? 0 : normalizeAxis(call.opType, call.int("axis", 1), x.rank);
  const blocks = scale.rank > 1 ? scale.shape[axis]! : 1;
  const block = call.int("block_size") || Math.ceil((x.shape[axis] ?? 1) / blocks);
  return { scale, zeroPoint, axis, block };
}

export function quantizeLinear(call: Call): Tensor {
  const [x, scale, zeroPoint] = [call.input(0), call.input(1), call.optional(2)];
  const asked = call.int("output_dtype");
  const dtype = zeroPoint?.dtype ?? (asked !== 0 ? requireDType("QuantizeLinear", asked) : "uint8");
  return quantizeTo(call, isFloat(x.dtype) ? x : cast(x, "float32"), parameters(call, x, scale, zeroPoint), dtype);
}

export function dequantizeLinear(call: Call): Tensor {
  const [q, scale, zeroPoint] = [call.input(0), call.input(1), call.optional(2)];
  const asked = call.int("output_dtype");
  const outDType = asked !== 0 ? requireDType("DequantizeLinear", asked) : scale.dtype;
  return dequantizeFrom(call, q, parameters(call, q, scale, zeroPoint), outDType);
}

export function dynamicQuantize(call: Call): readonly Tensor[] {
  return dynamicQuantizeLinear(call.input(0));
}

/** A quantized operand: q, scale, zero point in three inputs from `at`; one a row (or column) for matrices. */
export function operand(call: Call, at: number, axis = 0): Tensor {
  const [q, scale, zeroPoint] = [call.input(at), call.input(at + 1), call.optional(at + 2)];
  return dequantizeFrom(call, q, { scale, zeroPoint, axis, block: 1 }, "float32");
}

export function result(call: Call, y: Tensor, at: number): Tensor {
  const [scale, zeroPoint] = [call.input(at), call.optional(at + 1)];
  return quantizeTo(call, y, { scale, zeroPoint, axis: 0, block: 1 }, zeroPoint?.dtype ?? call.input(0).dtype);
}

function qlinearConv(call: Call): Tensor {
  const bias = call.optional(8);
  const scale = mul(call.input(1), call.input(4));
  const real =
    bias &&
    dequantizeFrom(
      call,
      bias,
      { scale: reshape(scale, scale.numel === 1 ? [] : [scale.numel]), zeroPoint: null, axis: 0, block: 1 },
      "float32",
    );
  return result(call, convolution(call, operand(call, 0), operand(call, 3), real), 6);
}

/** Parameters in the middle of a row or column: broadcast by hand, exact in doubles. */
export function centered(q: Tensor, zeroPoint: Tensor | null, columns: boolean): Tensor {
  const wide = cast(q, "float64");
  if (!zeroPoint) return wide;
  const z = cast(zeroPoint, "float64");
  const spread =
    z.rank === 1 && z.numel > 1 && !columns ? reshape(z, [z.numel, 1]) : z.numel === 1 ? reshape(z, []) : z;
  return sub(wide, spread);
}

// y = rne(sum((a - za) (b - zb)) sa sb / sy) + zy
function qlinearMatMul(call: Call): Tensor {
  const [a, b] = [call.input(0), call.input(3)];
  const sums = matmul(centered(a, call.optional(2), false), centered(b, call.optional(5), true));
  const [sa, sb] = [call.input(1), call.input(4)];
  const rows = sa.rank === 1 && sa.numel > 1 ? reshape(sa, [sa.numel, 1]) : sa;
  const y = mul(cast(sums, "float32"), mul(cast(rows, "float32"), cast(sb, "float32")));
  const [scale, zeroPoint] = [cast(call.input(6), "float32"), call.optional(7)];
  return quantizeTo(call, y, { scale, zeroPoint, axis: 0, block: 1 }, zeroPoint?.dtype ?? a.dtype);
}

function matMulInteger(call: Call): Tensor {
  return integerMatmul(call.input(0), call.input(1), call.optional(2), call.optional(3));
}

function convInteger(call: Call): Tensor {
  const [x, weight] = [call.input(0), call.input(1)];
  const z = call.optional(3);
  const rows = z && z.numel > 1 ? reshape(cast(z, "float64"), [z.numel, ...weight.shape.slice(1).map(() => 1)]) : null;
  const w = rows ? sub(cast(weight, "float64"), rows) : centered(weight, z, true);
  return cast(convolution(call, centered(x, call.optional(2), true), w, null), "int32");
}

export const quantizeRules: OnnxRules = {
  ConvInteger: rule(convInteger),
  DequantizeLinear: rule(dequantizeLinear),
  DynamicQuantizeLinear: rule(dynamicQuantize),
  MatMulInteger: rule(matMulInteger),
  QLinearConv: rule(qlinearConv),
  QLinearMatMul: rule(qlinearMatMul),
  QuantizeLinear: rule(quantizeLinear),
};
