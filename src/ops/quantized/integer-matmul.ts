/**
 * The matrix product of plain bytes less their zero points, summed in int32 without rounding, with matmul's rules for batches:
 *
 *     y = (a - za) (b - zb)         za: one, or one a row of a;  zb: one, or one a column of b
 *
 * Source: ONNX's MatMulInteger.
 */

import { DtypeError, ShapeError } from "../../errors.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { numel } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { matmulOp, matmulReference } from "../matmul.ts";
import { apply, defineOp } from "../op.ts";
import { NO_GRADIENT } from "./common.ts";

const NAME = "integerMatmul";

type Inputs = readonly [a: Tensor, b: Tensor, aZeroPoint: Tensor | null, bZeroPoint: Tensor | null];

/** Sums of bytes are exact in doubles. */
const exact = ({ shape }: TensorType): TensorType => ({ dtype: "float64", shape });

function checkZeroPoint(q: TensorType, zeroPoint: TensorType | null, axis: -1 | -2): void {
  if (!zeroPoint) return;
  const slices = q.shape.at(axis) ?? 1;
  if (zeroPoint.dtype !== q.dtype)
    throw new DtypeError(
      NAME,
      { dtype: q.dtype, zeroPoint: zeroPoint.dtype },
      "a zero point has the dtype of its tensor",
    );
  if (numel(zeroPoint.shape) !== 1 && numel(zeroPoint.shape) !== slices)
    throw new ShapeError(NAME, { shape: q.shape, zeroPoint: zeroPoint.shape }, "there must be one zero point, or one a row of a and column of b"); // prettier-ignore
}

function centered(q: Tensor, zeroPoint: Tensor | null, isRows: boolean): Tensor {
  const zeros = zeroPoint?.data ?? [0];
  const width = q.shape.at(-1)!;
  const sliceOf = (i: number): number => (isRows ? Math.floor(i / width) : i) % zeros.length;
  return new Tensor(
    "float64",
    q.shape,
    Float64Array.from(q.data, (v, i) => v - zeros[sliceOf(i)]!),
  );
}

export const integerMatmulOp = defineOp<Inputs>({
  name: NAME,
  infer([a, b, za, zb]) {
    for (const { dtype } of [a, b])
      if (dtypeInfo[dtype].kind !== "int" || dtypeInfo[dtype].bits !== 8)
        throw new DtypeError(NAME, { dtype }, "needs tensors of int8 or uint8");
    checkZeroPoint(a, za, -2);
    checkZeroPoint(b, zb, -1);
    return [{ dtype: "int32", shape: matmulOp.infer([exact(a), exact(b)], {})[0]!.shape }];
  },
  forward([a, b, za, zb], _, [type]) {
    const { data } = matmulReference(centered(a, za, true), centered(b, zb, false), exact(type!));
    return [new Tensor("int32", type!.shape, Int32Array.from(data))];
  },
  backward: NO_GRADIENT,
});

/**
 * a [..., m, k] int8 or uint8 times b [..., k, n] int8 or uint8, each less its zero points: int32 [..., m, n].
 * @throws DtypeError, ShapeError
 */
export function integerMatmul(a: Tensor, b: Tensor, aZeroPoint: Tensor | null, bZeroPoint: Tensor | null): Tensor {
  return apply(integerMatmulOp, [a, b, aZeroPoint, bZeroPoint], {});
}
