/**
 * Transformer encoder (Vaswani et al., 2017): self-attention and a feed-forward net, each with a residual
 * connection and layer normalization, after them or (normFirst) before.
 */

import { relu } from "../ops/activation-linear.ts";
import { gelu } from "../ops/activation-smooth.ts";
import { add } from "../ops/arithmetic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ModuleList } from "./container.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import { MultiheadAttention } from "./multihead-attention.ts";
import { LayerNorm } from "./norm.ts";

export interface TransformerEncoderLayerOptions {
  readonly dimFeedforward?: number;
  readonly dropout?: number;
  readonly activation?: "relu" | "gelu";
  readonly layerNormEps?: number;
  readonly batchFirst?: boolean;
  /** Normalize before attention and feed-forward instead of after. */
  readonly normFirst?: boolean;
  readonly bias?: boolean;
}

/** Masks of one call; as for MultiheadAttention. */
export interface EncoderCall {
  readonly srcMask?: Tensor | null;
  readonly srcKeyPaddingMask?: Tensor | null;
  readonly isCausal?: boolean;
}

const activations = { relu, gelu: (x: Tensor): Tensor => gelu(x) };

export class TransformerEncoderLayer extends Module<[src: Tensor, call?: EncoderCall]> {
  static override readonly stateNames: Readonly<Record<string, string>> = { selfAttn: "self_attn" };

  readonly normFirst: boolean;
  readonly activation: "relu" | "gelu";
  selfAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  norm1: LayerNorm;
  norm2: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;

  constructor(dModel: number, nhead: number, options: TransformerEncoderLayerOptions = {}) {
    super();
    const { dimFeedforward = 2048, dropout = 0.1, activation = "relu", layerNormEps: eps = 1e-5 } = options;
    const { batchFirst = false, normFirst = false, bias = true } = options;
    this.normFirst = normFirst;
    this.activation = activation;
    this.selfAttn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward, { bias });
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, { bias });
    this.norm1 = new LayerNorm(dModel, { eps, bias });
    this.norm2 = new LayerNorm(dModel, { eps, bias });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
  }

  forward(src: Tensor, call: EncoderCall = {}): Tensor {
    if (this.normFirst) {
      const x = add(src, this.attention(this.norm1.forward(src), call));
      return add(x, this.feedForward(this.norm2.forward(x)));
    }
    const x = this.norm1.forward(add(src, this.attention(src, call)));
    return this.norm2.forward(add(x, this.feedForward(x)));
  }

  private attention(x: Tensor, { srcMask = null, srcKeyPaddingMask = null, isCausal = false }: EncoderCall): Tensor {
    const call = { attnMask: srcMask, keyPaddingMask: srcKeyPaddingMask, isCausal, needWeights: false };
    return this.dropout1.forward(this.selfAttn.forward(x, x, x, call)[0]);
  }

  private feedForward(x: Tensor): Tensor {
    const inner = this.dropout.forward(activations[this.activation](this.linear1.forward(x)));
    return this.dropout2.forward(this.linear2.forward(inner));
  }
}

/** `numLayers` copies of a layer, one after the other, and an optional normalization at the end. */
export class TransformerEncoder extends Module<[src: Tensor, call?: EncoderCall]> {
  layers: ModuleList;
  norm: LayerNorm | null;

  constructor(
    encoderLayer: TransformerEncoderLayer,
    numLayers: number,
    { norm = null }: { readonly norm?: LayerNorm | null } = {},
  ) {
    super();
    this.layers = new ModuleList(Array.from({ length: numLayers }, () => encoderLayer.clone()));
    this.norm = norm;
  }

  forward(src: Tensor, call: EncoderCall = {}): Tensor {
    let x = src;
    for (const layer of this.layers) x = (layer as unknown as TransformerEncoderLayer).forward(x, call);
    return this.norm ? this.norm.forward(x) : x;
  }
}
