/**
 * Multi-head attention taken apart: query, key, value and output projections are layers of their own that quantize;
 * the products with keys and values and the softmax stay float, between stubs.
 * Source: torch/ao/nn/quantizable/modules/activation.py.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import { softmax } from "../../ops/activation-softmax.ts";
import { add } from "../../ops/arithmetic.ts";
import { cat } from "../../ops/cat.ts";
import { dropout } from "../../ops/dropout.ts";
import { bmm } from "../../ops/matmul.ts";
import { pad } from "../../ops/pad.ts";
import { quantizePerTensor } from "../../ops/quantize/native.ts";
import { mean } from "../../ops/reduce.ts";
import { expand, reshape, transpose, unsqueeze } from "../../ops/shape.ts";
import { maskedFill } from "../../ops/where.ts";
import { DeQuantStub, QuantStub } from "../../quantization/stubs.ts";
import { zeros } from "../../tensor/create.ts";
import type { QuantizedDType } from "../../tensor/dtype.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { FloatFunctional } from "../float-functional.ts";
import type { FunctionalOperations } from "../float-functional.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";
import type { AnyModule } from "../module.ts";
import type * as float from "../multihead-attention.ts";
import type { MultiheadAttentionCall, MultiheadAttentionOptions } from "../multihead-attention.ts";
import type { PrepareTools } from "./tools.ts";

type AttentionArgs = [query: Tensor, key: Tensor, value: Tensor, call?: MultiheadAttentionCall];

export class MultiheadAttention extends Module<AttentionArgs, readonly [Tensor, Tensor | null]> {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    linearQ: "linear_Q",
    linearK: "linear_K",
    linearV: "linear_V",
    outProj: "out_proj",
    qScalingProduct: "q_scaling_product",
    quantAttnOutput: "quant_attn_output",
    quantAttnOutputWeights: "quant_attn_output_weights",
    dequantQ: "dequant_q",
    dequantK: "dequant_k",
    dequantV: "dequant_v",
    biasK: "bias_k",
    biasV: "bias_v",
  };

  readonly embedDim: number;
  readonly numHeads: number;
  readonly dropout: number;
  readonly addZeroAttn: boolean;
  readonly batchFirst: boolean;
  biasK: Tensor | null;
  biasV: Tensor | null;
  outProj: Module;
  linearQ: Module;
  linearK: Module;
  linearV: Module;
  qScalingProduct: AnyModule & FunctionalOperations = new FloatFunctional();
  quantAttnOutput: Module = new QuantStub();
  quantAttnOutputWeights: Module = new QuantStub();
  dequantQ: Module = new DeQuantStub();
  dequantK: Module = new DeQuantStub();
  dequantV: Module = new DeQuantStub();

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const { dropout: p = 0, bias = true, addBiasKv = false, addZeroAttn = false, batchFirst = false } = options;
    const { kdim = embedDim, vdim = embedDim } = options;
    if (embedDim % numHeads !== 0) {
      throw new ArgumentError("MultiheadAttention", { embedDim, numHeads }, "embedDim must be a multiple of numHeads");
    }
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.dropout = p;
    this.addZeroAttn = addZeroAttn;
    this.batchFirst = batchFirst;
    const learned = (): Tensor | null => (addBiasKv ? new Parameter(zeros([1, 1, embedDim])) : null);
    this.biasK = learned();
    this.biasV = learned();
    this.outProj = new Linear(embedDim, embedDim, { bias });
    this.linearQ = new Linear(embedDim, embedDim, { bias });
    this.linearK = new Linear(kdim, embedDim, { bias });
    this.linearV = new Linear(vdim, embedDim, { bias });
  }

  /** Arguments and results of the float layer; causal masks must be given as attnMask. @throws ShapeError, ArgumentError */
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    call: MultiheadAttentionCall = {},
  ): readonly [Tensor, Tensor | null] {
    if (call.isCausal)
      throw new ArgumentError("MultiheadAttention", { isCausal: true }, "pass a causal attnMask instead");
    const inTime = (x: Tensor): Tensor => (this.batchFirst ? transpose(x, 0, 1) : x);
    const [q, k, v] = this.project(inTime(query), inTime(key), inTime(value));
    const [length, batch] = [inTime(query).shape[0]!, inTime(query).shape[1]!];
    const weights = softmax(this.mask(bmm(q, transpose(k, 1, 2)), batch, call), -1);
    const dropped = dropout(weights, { p: this.dropout, training: this.training && this.dropout > 0 });
    const mixed = reshape(transpose(bmm(dropped, v), 0, 1), [length, batch, this.embedDim]);
    const output = this.outProj.forward(this.quantAttnOutput.forward(mixed));
    const shown = this.quantAttnOutputWeights.forward(dropped);
    return [this.batchFirst ? transpose(output, 0, 1) : output, this.weightsOf(shown, batch, call)];
  }

  /** Float queries, keys and values, [batch * heads, length, headDim] each. */
  private project(query: Tensor, key: Tensor, value: Tensor): [Tensor, Tensor, Tensor] {
    if (query.size(-1) !== this.embedDim || key.shape[0] !== value.shape[0] || key.shape[1] !== value.shape[1]) {
      const fields = { query: query.shape, key: key.shape, value: value.shape, embedDim: this.embedDim };
      throw new ShapeError("MultiheadAttention", fields, "key and value must agree, and query have embedDim features");
    }
    const scaling = (this.embedDim / this.numHeads) ** -0.5;
    const q = this.qScalingProduct.mulScalar(this.linearQ.forward(query), scaling);
    const k = this.extend(this.linearK.forward(key), this.biasK);
    const v = this.extend(this.linearV.forward(value), this.biasV);
    return [
      this.dequantQ.forward(this.heads(q)),
      this.dequantK.forward(this.appendZero(this.heads(k))),
      this.dequantV.forward(this.appendZero(this.heads(v))),
    ];
  }

  private heads(x: Tensor): Tensor {
    const [length, batch] = [x.shape[0]!, x.shape[1]!];
    return transpose(reshape(x, [length, batch * this.numHeads, this.embedDim / this.numHeads]), 0, 1);
  }

  private extend(x: Tensor, learned: Tensor | null): Tensor {
    return learned ? cat([x, expand(learned, [1, x.shape[1]!, this.embedDim])], 0) : x;
  }

  private appendZero(x: Tensor): Tensor {
    if (!this.addZeroAttn) return x;
    const zero = zeros([x.shape[0]!, 1, x.shape[2]!]);
    const { qparams } = x;
    if (qparams?.kind !== "perTensor") return cat([x, zero], 1);
    return cat([x, quantizePerTensor(zero, qparams.scale, qparams.zeroPoint, x.dtype as QuantizedDType)], 1);
  }

  /** Scores [batch * heads, L, S] with both masks applied; appended keys stay visible. */
  private mask(
    scores: Tensor,
    batch: number,
    { attnMask = null, keyPaddingMask = null }: MultiheadAttentionCall,
  ): Tensor {
    const [rows, length, sources] = scores.shape as [number, number, number];
    const extra = (this.biasK ? 1 : 0) + (this.addZeroAttn ? 1 : 0);
    let masked = scores;
    if (attnMask) {
      const wide = extra > 0 ? pad(attnMask, [0, extra]) : attnMask;
      const full = wide.rank === 2 ? unsqueeze(wide, 0) : wide;
      masked = full.dtype === "bool" ? maskedFill(masked, full, -Infinity) : add(masked, full);
    }
    if (keyPaddingMask) {
      const wide = extra > 0 ? pad(keyPaddingMask, [0, extra]) : keyPaddingMask;
      const byHead = reshape(masked, [batch, this.numHeads, length, sources]);
      masked = reshape(maskedFill(byHead, reshape(wide, [batch, 1, 1, sources]), -Infinity), [rows, length, sources]);
    }
    return masked;
  }

  private weightsOf(weights: Tensor, batch: number, call: MultiheadAttentionCall): Tensor | null {
    const { needWeights = true, averageAttnWeights = true } = call;
    if (!needWeights) return null;
    const byHead = reshape(weights, [batch, this.numHeads, weights.shape[1]!, weights.shape[2]!]);
    return averageAttnWeights ? mean(byHead, 1) : byHead;
  }

  /** Observed attention with the weights of a float layer, in eval mode; its children are prepared. */
  static fromFloat(module: float.MultiheadAttention, tools: PrepareTools): MultiheadAttention {
    const { dropout: p, addZeroAttn, kdim, vdim, batchFirst } = module;
    const options = {
      dropout: p,
      bias: module.inProjBias !== null,
      addBiasKv: module.biasK !== null,
      addZeroAttn,
      kdim,
      vdim,
      batchFirst,
    };
    const observed = new MultiheadAttention(module.embedDim, module.numHeads, options);
    observed.qconfig = module.qconfig;
    observed.path = module.path;
    observed.biasK = module.biasK;
    observed.biasV = module.biasV;
    const out = observed.outProj as Linear;
    out.weight = module.outProj.weight;
    out.bias = module.outProj.bias;
    module.inProjections().forEach(([weight, bias], i) => {
      const linear = [observed.linearQ, observed.linearK, observed.linearV][i] as Linear;
      linear.weight = new Parameter(weight.detach());
      linear.bias = bias && new Parameter(bias.detach());
    });
    return tools.prepare(observed.eval());
  }
}
