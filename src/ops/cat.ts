/**
 * Joining tensors along an existing axis (cat) or a new one (stack).
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { promote } from "../tensor/dtype.ts";
import type { DType } from "../tensor/dtype.ts";
import { normalizeAxis, sameShape, stridesOf } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { emptyLike } from "../tensor/tensor.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import { apply, defineOp, requireUnquantized } from "./op.ts";
import { quantizedCatLikeFirst } from "./quantized/joins.ts";
import { unsqueeze } from "./shape.ts";
import { slice } from "./slicing.ts";
import { writeStrided } from "./strided.ts";
import { cast } from "./unary.ts";

type CatAttrs = { readonly dim: number };

function catType(inputs: readonly TensorType[], dim: number): TensorType {
  const first = inputs[0]!;
  let size = 0;
  let dtype: DType = first.dtype;
  for (const input of inputs) {
    requireUnquantized("cat", input);
    const rest = (shape: Shape): Shape => shape.filter((_, axis) => axis !== dim);
    if (input.shape.length !== first.shape.length || !sameShape(rest(input.shape), rest(first.shape))) {
      throw new ShapeError(
        "cat",
        { shapes: inputs.map(({ shape }) => shape), dim },
        "sizes must agree in every axis but the joined one",
      );
    }
    size += input.shape[dim]!;
    dtype = promote(dtype, input.dtype);
  }
  return { dtype, shape: first.shape.map((own, axis) => (axis === dim ? size : own)) };
}

export const catOp = defineOp<readonly Tensor[], CatAttrs>({
  name: "cat",
  infer: (inputs, { dim }) => [catType(inputs, dim)],
  forward(inputs, { dim }, [type]) {
    const out = emptyLike(type!);
    const strides = stridesOf(type!.shape);
    let offset = 0;
    for (const input of inputs) {
      writeStrided(out.data, cast(input, type!.dtype).data, input.shape, strides, offset);
      offset += input.shape[dim]! * strides[dim]!;
    }
    return [out];
  },
  backward(dy, { inputs, attrs: { dim }, needs }) {
    let end = 0;
    return inputs.map((input, i) => {
      const start = end;
      end += input.shape[dim]!;
      return needs[i] ? slice(dy, dim, start, end) : null;
    });
  },
  // As in PyTorch, the first tensor's parameters become the result's.
  quantized: (inputs, { dim }) => quantizedCatLikeFirst(inputs, dim),
});

/**
 * Joins tensors along axis `dim`; dtypes are promoted, and empty 1-d tensors left out, as in PyTorch.
 * @throws ShapeError when other sizes differ, ArgumentError for an empty list, DtypeError when
 * quantized tensors are mixed with others.
 */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  const joined = tensors.filter(({ shape }) => !(shape.length === 1 && shape[0] === 0));
  const first = joined[0] ?? tensors[0];
  if (!first) throw new ArgumentError("cat", {}, "needs at least one tensor");
  if (first.rank === 0)
    throw new ShapeError("cat", { shape: first.shape }, "tensors without axes cannot be joined", "Use stack");
  return apply(catOp, joined.length > 0 ? joined : [first], { dim: normalizeAxis("cat", dim, first.rank) });
}

/** Joins tensors of one shape along a new axis. @throws ShapeError when the shapes differ. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  const first = tensors[0];
  if (!first) throw new ArgumentError("stack", {}, "needs at least one tensor");
  if (tensors.some(({ shape }) => !sameShape(shape, first.shape))) {
    throw new ShapeError(
      "stack",
      { shapes: tensors.map(({ shape }) => shape) },
      "all tensors must have the same shape",
    );
  }
  const axis = normalizeAxis("stack", dim, first.rank + 1);
  return cat(
    tensors.map((one) => unsqueeze(one, axis)),
    axis,
  );
}
