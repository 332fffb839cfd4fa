/**
 * Sums and products of quantized tensors, with each other and with numbers.
 *
 * A sum is computed in float32 and requantized; a product is the exact product of the centred integers, requantized
 * by one multiplier. With a number, only the parameters change wherever they can. Sources:
 * ATen/native/quantized/cpu/{BinaryOps.cpp,kernels/QuantizedOpKernels.cpp}.
 */

import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import type { TypedArray } from "../../tensor/dtype.ts";
import { broadcastShapes, broadcastStrides, numel, sameShape } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { apply, defineOp } from "../op.ts";
import type { Op } from "../op.ts";
import { rint } from "../../tensor/rounding.ts";
import { inverseScale } from "../quantize/numerics.ts";
import { NO_GRADIENT, quantizedType, realValues, realValuesFused, requireByte, requireSameDtype } from "./common.ts";
import type { OutputQParams } from "./common.ts";
import { addThenRound, blockEnd, requantizeInteger, roundThenAdd, targetOf } from "./requantize.ts";

const { fround } = Math;

type Pair = readonly [x: Tensor, other: Tensor];
type BinaryAttrs = OutputQParams & { readonly relu: boolean };

/**
 * How many elements at the end of `shape` both operands walk in one stride each: contiguous (1) or repeated (0).
 * Axes are merged while each operand goes on as it does in the axes behind.
 */
function innerRun(shape: Shape, sa: readonly number[], sb: readonly number[]): number {
  let run = 1;
  let kinds: readonly boolean[] | null = null;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 1) continue;
    const repeated = [sa[axis] === 0, sb[axis] === 0];
    const fits = [sa, sb].every((s) => s[axis] === 0 || s[axis] === run);
    if (!fits || (kinds && kinds.some((kind, k) => kind !== repeated[k]))) break;
    kinds = repeated;
    run *= shape[axis]!;
  }
  return run;
}

/** Walks both operands; `each(i, qa, qb, single)` gets every pair, `single` telling elements outside whole vectors. */
function forEachPair(
  a: Tensor,
  b: Tensor,
  shape: Shape,
  each: (i: number, qa: number, qb: number, single: boolean) => void,
): void {
  const n = numel(shape);
  const [da, db] = [a.data, b.data];
  if (sameShape(a.shape, b.shape)) {
    const end = blockEnd(n);
    for (let i = 0; i < n; i++) each(i, da[i]!, db[i]!, i >= end);
    return;
  }
  const [sa, sb] = [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)];
  const run = innerRun(shape, sa, sb);
  const end = blockEnd(run);
  const index = new Array<number>(shape.length).fill(0);
  let [ia, ib] = [0, 0];
  for (let i = 0; i < n; i++) {
    each(i, da[ia]!, db[ib]!, i % run >= end);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      ia += sa[axis]!;
      ib += sb[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
      ia -= sa[axis]! * shape[axis]!;
      ib -= sb[axis]! * shape[axis]!;
    }
  }
}

function binary(
  name: string,
  compute: (a: Tensor, b: Tensor, shape: Shape, attrs: BinaryAttrs, out: TypedArray) => void,
): Op<Pair, BinaryAttrs> {
  return defineOp<Pair, BinaryAttrs>({
    name,
    infer([a, b], attrs) {
      const [left, right] = [requireByte(name, a), requireByte(name, b)];
      requireSameDtype(name, left, right);
      return [quantizedType(name, left.dtype, broadcastShapes(name, a.shape, b.shape), attrs)];
    },
    forward([a, b], attrs, [type]) {
      const out = allocate(type!.dtype, numel(type!.shape));
      compute(a, b, type!.shape, attrs, out);
      return [new Tensor(type!.dtype, type!.shape, out, type!.qparams)];
    },
    backward: NO_GRADIENT,
  });
}

export const quantizedAddOp = binary("quantizedAdd", (a, b, shape, attrs, out) => {
  const [ta, tb] = [requireByte("quantizedAdd", a), requireByte("quantizedAdd", b)];
  const [va, vb] = [realValuesFused(ta), realValuesFused(tb)];
  const [sa, sb] = [realValues(ta), realValues(tb)];
  const target = targetOf(ta.dtype, attrs);
  const { min } = dtypeInfo[ta.dtype];
  const floor = attrs.relu ? 0 : -Infinity;
  forEachPair(a, b, shape, (i, qa, qb, single) => {
    const sum = single ? fround(sa[qa - min]! + sb[qb - min]!) : fround(va[qa - min]! + vb[qb - min]!);
    const kept = Math.max(sum, floor);
    out[i] = single ? addThenRound(kept, target) : roundThenAdd(kept, target);
  });
});

export const quantizedMulOp = binary("quantizedMul", (a, b, shape, attrs, out) => {
  const [{ dtype, qparams: qa }, { qparams: qb }] = [requireByte("quantizedMul", a), requireByte("quantizedMul", b)];
  const multiplier = fround(fround(fround(qa.scale) * fround(qb.scale)) * inverseScale(attrs.scale));
  const target = targetOf(dtype, attrs, attrs.relu);
  forEachPair(a, b, shape, (i, x, y) => {
    out[i] = requantizeInteger((x - qa.zeroPoint) * (y - qb.zeroPoint), multiplier, target);
  });
});

export type BinaryOptions = OutputQParams & { readonly relu?: boolean };

/** quantize(x + other), then relu if asked for; broadcasts. @throws DtypeError unless both are 8-bit tensors of one dtype; ShapeError */
export function quantizedAdd(x: Tensor, other: Tensor, { scale, zeroPoint, relu = false }: BinaryOptions): Tensor {
  return apply(quantizedAddOp, [x, other], { scale, zeroPoint, relu });
}

/** quantize(x * other), then relu if asked for; broadcasts. @throws as quantizedAdd */
export function quantizedMul(x: Tensor, other: Tensor, { scale, zeroPoint, relu = false }: BinaryOptions): Tensor {
  return apply(quantizedMulOp, [x, other], { scale, zeroPoint, relu });
}

/** What adding `c` does: parameters of the result, and what each centred integer is shifted by when requantized. */
function addScalarPlan(x: TensorType, c: number): OutputQParams & { readonly shift: number; readonly kept: boolean } {
  const { dtype, qparams } = requireByte("quantizedAddScalar", x);
  const { min, max } = dtypeInfo[dtype];
  const { scale, zeroPoint } = qparams;
  const shift = rint(c / scale);
  const moved = zeroPoint - shift;
  if (moved < min) return { scale: ((max - moved) / (max - min)) * scale, zeroPoint: min, shift, kept: false };
  if (moved > max) return { scale: ((moved - min) / (max - min)) * scale, zeroPoint: max, shift, kept: false };
  return { scale, zeroPoint: moved, shift, kept: true };
}

type ScalarAttrs = { readonly scalar: number; readonly relu: boolean };

function scalarOp(
  name: string,
  plan: (x: TensorType, c: number) => OutputQParams,
  compute: (x: TensorType, c: number) => (q: number) => number,
): Op<readonly [Tensor], ScalarAttrs> {
  return defineOp<readonly [Tensor], ScalarAttrs>({
    name,
    isElementwise: true,
    infer([x], { scalar }) {
      return [quantizedType(name, requireByte(name, x).dtype, x.shape, plan(x, scalar))];
    },
    forward([x], { scalar, relu }, [type]) {
      const f = compute(x, scalar);
      const floor = relu ? plan(x, scalar).zeroPoint : -Infinity;
      const out = allocate(x.dtype, x.numel);
      for (let i = 0; i < out.length; i++) out[i] = Math.max(f(x.data[i]!), floor);
      return [new Tensor(x.dtype, x.shape, out, type!.qparams)];
    },
    backward: NO_GRADIENT,
  });
}

export const quantizedAddScalarOp = scalarOp("quantizedAddScalar", addScalarPlan, (x, c) => {
  const { kept, shift, ...output } = addScalarPlan(x, c);
  if (kept) return (q) => q;
  const { dtype, qparams } = requireByte("quantizedAddScalar", x);
  const multiplier = fround(fround(qparams.scale) * inverseScale(output.scale));
  const target = targetOf(dtype, output);
  return (q) => requantizeInteger(q - qparams.zeroPoint + shift, multiplier, target);
});

function mulScalarPlan(x: TensorType, c: number): OutputQParams {
  const { dtype, qparams } = requireByte("quantizedMulScalar", x);
  const { min, max } = dtypeInfo[dtype];
  if (c === 0) return { scale: 1, zeroPoint: 0 };
  return { scale: Math.abs(c) * qparams.scale, zeroPoint: c > 0 ? qparams.zeroPoint : max + min - qparams.zeroPoint };
}

export const quantizedMulScalarOp = scalarOp("quantizedMulScalar", mulScalarPlan, (x, c) => {
  const { min, max } = dtypeInfo[x.dtype];
  if (c === 0) return () => 0;
  return c > 0 ? (q) => q : (q) => max + min - q;
});

/**
 * x + scalar, then relu if asked for. The integers stay and the zero point moves; where it would leave the dtype,
 * the scale grows instead. @throws DtypeError
 */
export function quantizedAddScalar(
  x: Tensor,
  scalar: number,
  { relu = false }: { readonly relu?: boolean } = {},
): Tensor {
  return apply(quantizedAddScalarOp, [x], { scalar, relu });
}

/** x * scalar, then relu if asked for: only scale and zero point change (integers are mirrored by a negative one). @throws DtypeError */
export function quantizedMulScalar(
  x: Tensor,
  scalar: number,
  { relu = false }: { readonly relu?: boolean } = {},
): Tensor {
  return apply(quantizedMulScalarOp, [x], { scalar, relu });
}
