/**
 * The fully connected layer, y = x W^T + b, and its bilinear relative.
 */

import { matmulF32 } from "../engine/eager/index.ts";
import { ShapeError } from "../errors.ts";
import { allocate } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { add } from "./arithmetic.ts";
import { fromDoubles } from "./loops.ts";
import { matmul, requireSameFloat } from "./matmul.ts";
import { apply, defineOp } from "./op.ts";
import type { BackwardContext } from "./op.ts";
import { sum } from "./reduce.ts";
import { expand, reshape, transpose, unsqueeze } from "./shape.ts";

type LinearInputs = readonly [x: Tensor, weight: Tensor, bias: Tensor | null];
type NoAttrs = Readonly<Record<string, never>>;

function inferLinear([x, weight, bias]: readonly [TensorType, TensorType, TensorType | null]): TensorType[] {
  requireSameFloat("linear", x, weight, bias);
  const fields = { x: x.shape, weight: weight.shape, ...(bias ? { bias: bias.shape } : {}) };
  if (weight.shape.length !== 2 || x.shape.length === 0 || x.shape.at(-1) !== weight.shape[1]) {
    throw new ShapeError("linear", fields, "the last axis of x must be weight.shape[1]");
  }
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0])) {
    throw new ShapeError("linear", fields, "bias must have weight.shape[0] elements");
  }
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), weight.shape[0]!] }];
}

/** The definition: plain loops, sums in double precision. */
export function linearReference(x: Tensor, weight: Tensor, bias: Tensor | null, type: TensorType): Tensor {
  const [outputs, inputs] = [weight.shape[0]!, weight.shape[1]!];
  const rows = numel(x.shape.slice(0, -1));
  const out = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      let acc = bias ? bias.data[o]! : 0;
      for (let i = 0; i < inputs; i++) acc += x.data[row * inputs + i]! * weight.data[o * inputs + i]!;
      out[row * outputs + o] = acc;
    }
  }
  return fromDoubles(type, out);
}

function linearKernel(x: Tensor, weight: Tensor, bias: Tensor | null, type: TensorType): Tensor {
  const [n, k] = [weight.shape[0]!, weight.shape[1]!];
  const m = numel(x.shape.slice(0, -1));
  const out = allocate("float32", m * n) as Float32Array;
  matmulF32(
    x.data as Float32Array,
    weight.data as Float32Array,
    out,
    { m, k, n, transB: true },
    bias ? (bias.data as Float32Array) : null,
  );
  return new Tensor(type.dtype, type.shape, out);
}

// dx = dy W, dW = dy^T x, db = the sum of dy over all rows.
function linearBackward(
  dy: Tensor,
  { inputs: [x, weight, bias], needs }: BackwardContext<LinearInputs, NoAttrs>,
): (Tensor | null)[] {
  return [
    needs[0] ? matmul(dy, weight) : null,
    needs[1] ? matmul(transpose(reshape(dy, [-1, weight.shape[0]!]), 0, 1), reshape(x, [-1, weight.shape[1]!])) : null,
    bias && needs[2] ? sum(reshape(dy, [-1, weight.shape[0]!]), 0) : null,
  ];
}

export const linearOp = defineOp<LinearInputs, NoAttrs>({
  name: "linear",
  infer: inferLinear,
  forward: ([x, weight, bias], _, [type]) => [
    (type!.dtype === "float32" ? linearKernel : linearReference)(x, weight, bias, type!),
  ],
  backward: linearBackward,
});

/**
 * y = x weight^T + bias, with x [..., inFeatures], weight [outFeatures, inFeatures], bias [outFeatures].
 * @throws ShapeError, DtypeError
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return apply(linearOp, [x, weight, bias], {});
}

/**
 * y[..., o] = x1[...]^T weight[o] x2[...] + bias[o], with weight [outFeatures, in1, in2].
 * @throws ShapeError, DtypeError
 */
export function bilinear(x1: Tensor, x2: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  if (weight.rank !== 3 || x1.size(-1) !== weight.shape[1] || x2.size(-1) !== weight.shape[2]) {
    throw new ShapeError(
      "bilinear",
      { x1: x1.shape, x2: x2.shape, weight: weight.shape },
      "the last axes of x1 and x2 must be weight.shape[1] and weight.shape[2]",
    );
  }
  const [outputs, in1, in2] = [weight.shape[0]!, weight.shape[1], weight.shape[2]];
  const rows = reshape(x1, [-1, in1]);
  const count = rows.shape[0]!;
  // [1, rows, in1] x [out, in1, in2] -> [out, rows, in2], then a dot product with x2 along in2
  const half = matmul(expand(unsqueeze(rows, 0), [outputs, count, in1]), weight);
  const y = matmul(reshape(transpose(half, 0, 1), [count, outputs, in2]), reshape(x2, [count, in2, 1]));
  const shaped = reshape(y, [...x1.shape.slice(0, -1), outputs]);
  return bias ? add(shaped, bias) : shaped;
}
