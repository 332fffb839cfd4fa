/**
 * Scaled dot-product attention (Vaswani et al., 2017): softmax(q k^T * scale + mask) v.
 *
 * One operator, so that a graph shows attention and not its parts; what it computes, and its gradient, are
 * written with the operators of the parts.
 */

import { ArgumentError, DtypeError, ShapeError } from "../errors.ts";
import { noGrad, withTracer } from "../tensor/context.ts";
import { allocate } from "../tensor/dtype.ts";
import { broadcastShapes } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { TensorType } from "../tensor/tensor.ts";
import { softmax } from "./activation-softmax.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { equal, notEqual } from "./compare.ts";
import { dropout } from "./dropout.ts";
import { matmul, requireSameFloat } from "./matmul.ts";
import { apply, defineOp } from "./op.ts";
import { sum } from "./reduce.ts";
import { transpose } from "./shape.ts";
import { logicalNot } from "./logical.ts";
import { cast } from "./unary.ts";
import { maskedFill } from "./where.ts";

type AttentionInputs = readonly [query: Tensor, key: Tensor, value: Tensor, mask: Tensor | null];
export type AttentionAttrs = { readonly isCausal: boolean; readonly scale: number };

/** Float mask that is -Infinity above the diagonal: position i sees positions 0..i. */
export function causalMask(rows: number, columns: number, dtype: Tensor["dtype"] = "float32"): Tensor {
  const data = allocate(dtype, rows * columns);
  for (let i = 0; i < rows; i++)
    data.fill(-Infinity, Math.min(i * columns + i + 1, (i + 1) * columns), (i + 1) * columns);
  return new Tensor(dtype, [rows, columns], data);
}

/** softmax(q k^T * scale + mask), [..., L, S]. A row that may see nothing is zero. */
function attentionWeights([query, key, , mask]: AttentionInputs, { isCausal, scale }: AttentionAttrs): Tensor {
  let scores = mul(matmul(query, transpose(key, -2, -1)), scale);
  if (isCausal) scores = add(scores, causalMask(query.size(-2), key.size(-2), query.dtype));
  if (!mask) return softmax(scores, -1);
  scores = mask.dtype === "bool" ? maskedFill(scores, logicalNot(mask), -Infinity) : add(scores, mask);
  const seen = sum(cast(notEqual(scores, -Infinity), scores.dtype), -1, { keepdim: true });
  return maskedFill(softmax(scores, -1), equal(seen, 0), 0);
}

function inferAttention([query, key, value, mask]: readonly [
  TensorType,
  TensorType,
  TensorType,
  TensorType | null,
]): TensorType {
  const where = "scaledDotProductAttention";
  requireSameFloat(where, query, key, value);
  const fields = { query: query.shape, key: key.shape, value: value.shape, ...(mask ? { attnMask: mask.shape } : {}) };
  const [q, k, v] = [query.shape, key.shape, value.shape];
  if (Math.min(q.length, k.length, v.length) < 2 || q.at(-1) !== k.at(-1) || k.at(-2) !== v.at(-2)) {
    throw new ShapeError(
      where,
      fields,
      "query [..., L, E], key [..., S, E] and value [..., S, Ev] must agree in E and S",
    );
  }
  if (mask && mask.dtype !== "bool" && mask.dtype !== query.dtype) {
    throw new DtypeError(
      where,
      { attnMask: mask.dtype, query: query.dtype },
      "the mask must be bool or of the query's dtype",
    );
  }
  const batch = broadcastShapes(where, broadcastShapes(where, q.slice(0, -2), k.slice(0, -2)), v.slice(0, -2));
  if (mask) broadcastShapes(where, mask.shape, [...batch, q.at(-2)!, k.at(-2)!]);
  return { dtype: query.dtype, shape: [...batch, q.at(-2)!, v.at(-1)!] };
}

export const scaledDotProductAttentionOp = defineOp<AttentionInputs, AttentionAttrs>({
  name: "scaledDotProductAttention",
  infer: (inputs) => [inferAttention(inputs)],
  forward: (inputs, attrs) => [
    withTracer(null, () => noGrad(() => matmul(attentionWeights(inputs, attrs), inputs[2]))),
  ],
  // With p the weights: dv = p^T dy, dp = dy v^T, ds = p (dp - sum(p dp)), dq = ds k scale, dk = ds^T q scale
  backward(dy, { inputs, attrs, needs }) {
    const [query, key, value] = inputs;
    const p = attentionWeights(inputs, attrs);
    const dp = matmul(dy, transpose(value, -2, -1));
    const ds = mul(p, sub(dp, sum(mul(p, dp), -1, { keepdim: true })));
    return [
      needs[0] ? mul(matmul(ds, key), attrs.scale) : null,
      needs[1] ? mul(matmul(transpose(ds, -2, -1), query), attrs.scale) : null,
      needs[2] ? matmul(transpose(p, -2, -1), dy) : null,
      needs[3] ? ds : null,
    ];
  },
});

export interface AttentionOptions {
  /** bool (true: may be seen) or float (added to the scores), broadcastable to [..., L, S]. */
  readonly attnMask?: Tensor | null;
  readonly isCausal?: boolean;
  /** Defaults to 1 / sqrt(E). */
  readonly scale?: number | null;
  /** Probability of dropping an attention weight; 0 outside training. */
  readonly dropoutP?: number;
}

/**
 * Attention of query [..., L, E] over key [..., S, E] and value [..., S, Ev]: [..., L, Ev].
 * @throws ShapeError, DtypeError; ArgumentError for a mask together with isCausal
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  const { attnMask = null, isCausal = false, scale = null, dropoutP = 0 } = options;
  if (attnMask && isCausal) {
    throw new ArgumentError("scaledDotProductAttention", { isCausal }, "a mask and isCausal cannot be given together");
  }
  const inputs: AttentionInputs = [query, key, value, attnMask];
  const attrs = { isCausal, scale: scale ?? 1 / Math.sqrt(query.size(-1)) };
  if (dropoutP === 0) return apply(scaledDotProductAttentionOp, inputs, attrs);
  inferAttention(inputs);
  return matmul(dropout(attentionWeights(inputs, attrs), { p: dropoutP, training: true }), value);
}
