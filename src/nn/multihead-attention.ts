/**
 * Multi-head attention (Vaswani et al., 2017) with PyTorch's packed projection, masks and state-dict keys.
 *
 * Masks are PyTorch's for this layer: in bool masks true means "may not be seen" (the opposite of
 * scaledDotProductAttention), float masks are added to the scores.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { softmax } from "../ops/activation-softmax.ts";
import { add, mul } from "../ops/arithmetic.ts";
import { causalMask, scaledDotProductAttention } from "../ops/attention.ts";
import { cat } from "../ops/cat.ts";
import { dropout } from "../ops/dropout.ts";
import { linear } from "../ops/linear.ts";
import { matmul } from "../ops/matmul.ts";
import { pad } from "../ops/pad.ts";
import { mean } from "../ops/reduce.ts";
import { expand, permute, reshape, squeeze, transpose, unsqueeze } from "../ops/shape.ts";
import { split } from "../ops/slicing.ts";
import { maskedFill } from "../ops/where.ts";
import { zeros } from "../tensor/create.ts";
import { sameShape } from "../tensor/shape.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { xavierNormal, xavierUniform } from "./init.ts";
import { NonDynamicallyQuantizableLinear } from "./linear.ts";
import { Module } from "./module.ts";
import { emptyParameter } from "./parameters.ts";

export interface MultiheadAttentionOptions {
  /** Dropout on the attention weights while training. */
  readonly dropout?: number;
  readonly bias?: boolean;
  /** A learned key and value appended to every sequence. */
  readonly addBiasKv?: boolean;
  /** A key and value of zeros appended to every sequence. */
  readonly addZeroAttn?: boolean;
  /** Features of keys and of values, where they differ from embedDim. */
  readonly kdim?: number;
  readonly vdim?: number;
  readonly batchFirst?: boolean;
}

export interface MultiheadAttentionCall {
  /** [N, S]: bool, true for keys to ignore; or float, added. */
  readonly keyPaddingMask?: Tensor | null;
  /** [L, S] or [N * heads, L, S]: bool, true where a query may not see a key; or float, added. */
  readonly attnMask?: Tensor | null;
  readonly needWeights?: boolean;
  /** Average the returned weights over the heads. */
  readonly averageAttnWeights?: boolean;
  /** Mask later positions; only without `attnMask`. */
  readonly isCausal?: boolean;
}

type AttentionArgs = [query: Tensor, key: Tensor, value: Tensor, call?: MultiheadAttentionCall];

/** A mask as float numbers to add: -Infinity where a bool mask is true. */
function additive(mask: Tensor, dtype: Tensor["dtype"]): Tensor {
  return mask.dtype === "bool" ? maskedFill(zeros(mask.shape, { dtype }), mask, -Infinity) : mask;
}

/** @throws ShapeError naming the mask. */
function requireShape(name: string, mask: Tensor, expected: readonly number[]): void {
  if (sameShape(mask.shape, expected)) return;
  throw new ShapeError(
    "MultiheadAttention",
    { [name]: mask.shape, expected },
    `${name} must fit the batch, queries and keys`,
  );
}

export class MultiheadAttention extends Module<AttentionArgs, readonly [Tensor, Tensor | null]> {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    inProjWeight: "in_proj_weight",
    qProjWeight: "q_proj_weight",
    kProjWeight: "k_proj_weight",
    vProjWeight: "v_proj_weight",
    inProjBias: "in_proj_bias",
    biasK: "bias_k",
    biasV: "bias_v",
    outProj: "out_proj",
  };

  readonly embedDim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly kdim: number;
  readonly vdim: number;
  readonly dropout: number;
  readonly addZeroAttn: boolean;
  readonly batchFirst: boolean;
  /** [3 embedDim, embedDim]: query, key and value projections; null where kdim or vdim differ. */
  inProjWeight: Parameter | null;
  qProjWeight: Parameter | null;
  kProjWeight: Parameter | null;
  vProjWeight: Parameter | null;
  inProjBias: Parameter | null;
  biasK: Parameter | null;
  biasV: Parameter | null;
  outProj: NonDynamicallyQuantizableLinear;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const { dropout: p = 0, bias = true, addBiasKv = false, addZeroAttn = false, batchFirst = false } = options;
    const { kdim = embedDim, vdim = embedDim } = options;
    if (embedDim % numHeads !== 0) {
      throw new ArgumentError("MultiheadAttention", { embedDim, numHeads }, "embedDim must be a multiple of numHeads");
    }
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.headDim = embedDim / numHeads;
    this.kdim = kdim;
    this.vdim = vdim;
    this.dropout = p;
    this.addZeroAttn = addZeroAttn;
    this.batchFirst = batchFirst;
    const packed = kdim === embedDim && vdim === embedDim;
    const projection = (rows: number, columns: number, wanted: boolean): Parameter | null =>
      wanted ? xavierUniform(emptyParameter([rows, columns])) : null;
    this.inProjWeight = projection(3 * embedDim, embedDim, packed);
    this.qProjWeight = projection(embedDim, embedDim, !packed);
    this.kProjWeight = projection(embedDim, kdim, !packed);
    this.vProjWeight = projection(embedDim, vdim, !packed);
    this.inProjBias = bias ? emptyParameter([3 * embedDim]) : null;
    this.biasK = addBiasKv ? xavierNormal(emptyParameter([1, 1, embedDim])) : null;
    this.biasV = addBiasKv ? xavierNormal(emptyParameter([1, 1, embedDim])) : null;
    this.outProj = new NonDynamicallyQuantizableLinear(embedDim, embedDim, { bias });
    this.outProj.bias?.data.fill(0);
  }

  /** Query, key and value weights [embedDim, features] and their biases. */
  inProjections(): readonly (readonly [weight: Tensor, bias: Tensor | null])[] {
    const weights = this.inProjWeight
      ? split(this.inProjWeight, this.embedDim, 0)
      : [this.qProjWeight!, this.kProjWeight!, this.vProjWeight!];
    const biases = this.inProjBias ? split(this.inProjBias, this.embedDim, 0) : null;
    return weights.map((weight, i) => [weight, biases ? biases[i]! : null] as const);
  }

  /**
   * @param query [L, N, embedDim] (or [N, L, embedDim] with batchFirst, or [L, embedDim]); key and value likewise.
   * @returns the output in query's layout, and the attention weights [N, L, S] ([N, heads, L, S] when not averaged)
   * or null.
   * @throws ShapeError, ArgumentError
   */
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    call: MultiheadAttentionCall = {},
  ): readonly [Tensor, Tensor | null] {
    const single = query.rank === 2;
    const inTime = (x: Tensor): Tensor => (single ? unsqueeze(x, 1) : this.batchFirst ? transpose(x, 0, 1) : x);
    this.check(query, key, value, single);
    const padding = single && call.keyPaddingMask ? unsqueeze(call.keyPaddingMask, 0) : (call.keyPaddingMask ?? null);
    const [output, weights] = this.attend(inTime(query), inTime(key), inTime(value), {
      ...call,
      keyPaddingMask: padding,
    });
    const shown = single ? squeeze(output, 1) : this.batchFirst ? transpose(output, 0, 1) : output;
    return [shown, weights && single ? squeeze(weights, 0) : weights];
  }

  private check(query: Tensor, key: Tensor, value: Tensor, single: boolean): void {
    const rank = single ? 2 : 3;
    const paired = sameShape(key.shape.slice(0, -1), value.shape.slice(0, -1));
    const fits =
      query.rank === rank && key.rank === rank && value.rank === rank &&
      paired &&
      query.size(-1) === this.embedDim && key.size(-1) === this.kdim && value.size(-1) === this.vdim; // prettier-ignore
    if (!fits) {
      throw new ShapeError(
        "MultiheadAttention",
        {
          query: query.shape,
          key: key.shape,
          value: value.shape,
          embedDim: this.embedDim,
          kdim: this.kdim,
          vdim: this.vdim,
        },
        "all must have two or three axes, the last of size embedDim, kdim and vdim, and as many keys as values",
      );
    }
  }

  /** Attention in [L, N, E] layout. */
  private attend(query: Tensor, key: Tensor, value: Tensor, call: MultiheadAttentionCall): [Tensor, Tensor | null] {
    const { needWeights = true, averageAttnWeights = true } = call;
    const [L, N] = [query.shape[0]!, query.shape[1]!];
    const [pq, pk, pv] = this.inProjections();
    const q = this.heads(linear(query, ...pq!));
    const k = this.heads(this.extend(linear(key, ...pk!), this.biasK));
    const v = this.heads(this.extend(linear(value, ...pv!), this.biasV));
    const mask = this.mask(call, N, L, key.shape[0]!, query.dtype);
    const p = this.training ? this.dropout : 0;
    let weights: Tensor | null = null;
    let mixed: Tensor;
    if (needWeights) {
      const scores = matmul(mul(q, 1 / Math.sqrt(this.headDim)), transpose(k, -2, -1));
      weights = dropout(softmax(mask ? add(scores, mask) : scores, -1), { p, training: p > 0 });
      mixed = matmul(weights, v);
    } else {
      mixed = scaledDotProductAttention(q, k, v, { attnMask: mask, dropoutP: p });
    }
    const output = this.outProj.forward(reshape(permute(mixed, [2, 0, 1, 3]), [L, N, this.embedDim]));
    return [output, weights && averageAttnWeights ? mean(weights, 1) : weights];
  }

  /** [L, N, E] -> [N, heads, L, headDim] */
  private heads(x: Tensor): Tensor {
    return permute(reshape(x, [x.shape[0]!, x.shape[1]!, this.numHeads, this.headDim]), [1, 2, 0, 3]);
  }

  /** Appends the learned and the zero key or value. */
  private extend(x: Tensor, learned: Parameter | null): Tensor {
    let out = x;
    const one = [1, x.shape[1]!, this.embedDim];
    if (learned) out = cat([out, expand(learned, one)], 0);
    return this.addZeroAttn ? cat([out, zeros(one, { dtype: x.dtype })], 0) : out;
  }

  /** Both masks as one to add, broadcastable to [N, heads, L, S], appended keys visible; null when there is none. */
  private mask(call: MultiheadAttentionCall, N: number, L: number, S: number, dtype: Tensor["dtype"]): Tensor | null {
    const { keyPaddingMask = null, isCausal = false } = call;
    const attnMask = call.attnMask ?? (isCausal ? causalMask(L, S, dtype) : null);
    let mask: Tensor | null = null;
    if (attnMask) {
      const lead = attnMask.rank === 3 ? [N * this.numHeads] : [];
      requireShape("attnMask", attnMask, [...lead, L, S]);
      const shape = attnMask.rank === 3 ? [N, this.numHeads, L, S] : [1, 1, L, S];
      mask = reshape(additive(attnMask, dtype), shape);
    }
    if (keyPaddingMask) {
      requireShape("keyPaddingMask", keyPaddingMask, [N, S]);
      const padding = reshape(additive(keyPaddingMask, dtype), [N, 1, 1, S]);
      mask = mask ? add(mask, padding) : padding;
    }
    const extra = (this.biasK ? 1 : 0) + (this.addZeroAttn ? 1 : 0);
    return mask && extra > 0 ? pad(mask, [0, extra]) : mask;
  }
}
