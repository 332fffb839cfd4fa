/**
 * Concatenation, matrix product and softmax of quantized tensors: dequantize, compute in float32, requantize by the
 * rule of quantizePerTensor. The product sums integers, exactly, and scales the sum: PyTorch's sum of dequantized numbers,
 * without the roundings that depend on its order. Sources: ATen/native/quantized/cpu/{qconcat,qmatmul,qsoftmax}.cpp.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import { normalizeAxis, numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { axisView, forEachLane } from "../loops.ts";
import { matmulOp } from "../matmul.ts";
import { apply, defineOp } from "../op.ts";
import { matmulSums } from "./accumulate.ts";
import { NO_GRADIENT, quantizedType, realValues, requireByte, requirePerTensor, requireSameDtype } from "./common.ts";
import type { OutputQParams } from "./common.ts";
import { addThenRound, targetOf } from "./requantize.ts";

const { fround } = Math;

/** The real values of a quantized tensor as a float32 tensor. */
function toReal(where: string, x: Tensor): Tensor {
  const table = realValues(requireByte(where, x));
  const { min } = dtypeInfo[x.dtype];
  const out = new Float32Array(x.numel);
  for (let i = 0; i < out.length; i++) out[i] = table[x.data[i]! - min]!;
  return new Tensor("float32", x.shape, out);
}

/** Requantizes float32 values into the given quantized type. */
function toIntegers(type: TensorType, values: ArrayLike<number>, output: OutputQParams, relu = false): Tensor {
  const target = targetOf(type.dtype as "quint8", output, relu);
  const out = allocate(type.dtype, values.length);
  for (let i = 0; i < out.length; i++) out[i] = addThenRound(values[i]!, target);
  return new Tensor(type.dtype, type.shape, out, type.qparams);
}

type CatAttrs = OutputQParams & { readonly dim: number; readonly relu: boolean };

function catShape(shapes: readonly (readonly number[])[], dim: number): number[] {
  const [first] = shapes;
  if (!first) throw new ArgumentError("quantizedCat", { tensors: 0 }, "there must be at least one tensor");
  for (const shape of shapes) {
    if (shape.length !== first.length || shape.some((size, axis) => axis !== dim && size !== first[axis])) {
      throw new ShapeError("quantizedCat", { shapes, dim }, "shapes must agree in every axis but dim");
    }
  }
  return first.map((size, axis) => (axis === dim ? shapes.reduce((sum, shape) => sum + shape[axis]!, 0) : size));
}

export const quantizedCatOp = defineOp<readonly Tensor[], CatAttrs>({
  name: "quantizedCat",
  infer(inputs, attrs) {
    const types = inputs.map((type) => requireByte("quantizedCat", type));
    const shape = catShape(
      types.map((type) => type.shape),
      attrs.dim,
    );
    for (const type of types) requireSameDtype("quantizedCat", types[0]!, type);
    return [quantizedType("quantizedCat", types[0]!.dtype, shape, attrs)];
  },
  forward(inputs, attrs, [type]) {
    const { min } = dtypeInfo[type!.dtype];
    const out = allocate(type!.dtype, numel(type!.shape));
    const target = targetOf(type!.dtype as "quint8", attrs, attrs.relu);
    const { outer, size, inner } = axisView(type!.shape, attrs.dim);
    let before = 0;
    for (const x of inputs) {
      const table = allocate(type!.dtype, 256);
      realValues(requireByte("quantizedCat", x)).forEach((v, i) => (table[i] = addThenRound(v, target)));
      const run = x.shape[attrs.dim]! * inner;
      for (let o = 0; o < outer; o++) {
        const to = o * size * inner + before;
        for (let i = 0; i < run; i++) out[to + i] = table[x.data[o * run + i]! - min]!;
      }
      before += run;
    }
    return [new Tensor(type!.dtype, type!.shape, out, type!.qparams)];
  },
  backward: NO_GRADIENT,
});

/**
 * Tensors joined along `dim`, requantized to the given parameters, then relu if asked for.
 * @throws ShapeError, DtypeError unless all are 8-bit tensors of one dtype
 */
export function quantizedCat(
  tensors: readonly Tensor[],
  { dim = 0, scale, zeroPoint, relu = false }: OutputQParams & { readonly dim?: number; readonly relu?: boolean },
): Tensor {
  const axis = normalizeAxis("quantizedCat", dim, tensors[0]?.rank ?? 0);
  return apply(quantizedCatOp, tensors, { dim: axis, scale, zeroPoint, relu });
}

/** Tensors joined along `dim` with the parameters of the first. @throws as quantizedCat */
export function quantizedCatLikeFirst(tensors: readonly Tensor[], dim: number): Tensor {
  const { scale, zeroPoint } = requirePerTensor("cat", tensors[0]!).qparams;
  return quantizedCat(tensors, { dim, scale, zeroPoint });
}

export const quantizedMatmulOp = defineOp<readonly [Tensor, Tensor], OutputQParams>({
  name: "quantizedMatmul",
  infer([a, b], output) {
    const [left, right] = [requireByte("quantizedMatmul", a), requireByte("quantizedMatmul", b)];
    requireSameDtype("quantizedMatmul", left, right);
    const [real] = matmulOp.infer(
      [
        { dtype: "float32", shape: a.shape },
        { dtype: "float32", shape: b.shape },
      ],
      {},
    );
    return [quantizedType("quantizedMatmul", left.dtype, real!.shape, output)];
  },
  forward([a, b], output, [type]) {
    const [left, right] = [requireByte("quantizedMatmul", a), requireByte("quantizedMatmul", b)];
    const scale = fround(fround(left.qparams.scale) * fround(right.qparams.scale));
    const reals = Float32Array.from(matmulSums(a, b), (sum) => fround(sum) * scale);
    return [toIntegers(type!, reals, output)];
  },
  backward: NO_GRADIENT,
});

/** x @ other, batched and broadcasting as matmul. @throws ShapeError, DtypeError */
export function quantizedMatmul(x: Tensor, other: Tensor, { scale, zeroPoint }: OutputQParams): Tensor {
  return apply(quantizedMatmulOp, [x, other], { scale, zeroPoint });
}

export const quantizedSoftmaxOp = defineOp<readonly [Tensor], OutputQParams & { readonly dim: number }>({
  name: "quantizedSoftmax",
  infer: ([x], attrs) => [quantizedType("quantizedSoftmax", requireByte("quantizedSoftmax", x).dtype, x.shape, attrs)],
  forward([x], attrs, [type]) {
    const { data } = toReal("quantizedSoftmax", x);
    const size = x.shape[attrs.dim] ?? 1;
    forEachLane(x.shape, attrs.dim, (start, stride) => {
      let most = -Infinity;
      for (let i = 0; i < size; i++) most = Math.max(most, data[start + i * stride]!);
      let sum = 0;
      for (let i = 0; i < size; i++) {
        const at = start + i * stride;
        data[at] = Math.exp(fround(data[at]! - most));
        sum += data[at];
      }
      for (let i = 0; i < size; i++) data[start + i * stride]! /= fround(sum);
    });
    return [toIntegers(type!, data, attrs)];
  },
  backward: NO_GRADIENT,
});

/** Softmax over `dim`, requantized to the given parameters. @throws ShapeError, DtypeError */
export function quantizedSoftmax(
  x: Tensor,
  { dim, scale, zeroPoint }: OutputQParams & { readonly dim: number },
): Tensor {
  return apply(quantizedSoftmaxOp, [x], { dim: normalizeAxis("quantizedSoftmax", dim, x.rank), scale, zeroPoint });
}
