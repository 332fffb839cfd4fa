/**
 * Embedding layers. Tables start out standard normal, the padding row zero.
 */

import { ArgumentError } from "../errors.ts";
import { embedding, resolvePaddingIdx } from "../ops/embedding.ts";
import { embeddingBag } from "../ops/embedding-bag.ts";
import type { BagMode } from "../ops/embedding-bag.ts";
import { Parameter } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { normal } from "./init.ts";
import { Module } from "./module.ts";
import { emptyParameter } from "./parameters.ts";

function table(rows: number, features: number, paddingIdx: number | null): Parameter {
  const weight = normal(emptyParameter([rows, features]));
  if (paddingIdx !== null) weight.data.fill(0, paddingIdx * features, (paddingIdx + 1) * features);
  return weight;
}

export interface EmbeddingLayerOptions {
  /** Row that stays as it is: it gets no gradient. */
  readonly paddingIdx?: number | null;
}

export interface PretrainedOptions {
  readonly freeze?: boolean;
}

/** Rows of weight [numEmbeddings, embeddingDim] by index. */
export class Embedding extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingLayerOptions = {}) {
    super();
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIdx = resolvePaddingIdx("Embedding", options.paddingIdx, numEmbeddings);
    this.weight = table(numEmbeddings, embeddingDim, this.paddingIdx);
  }

  /** A layer around a given table [rows, features], which stays as it is unless `freeze` is false. */
  static fromPretrained(
    weight: Tensor,
    { freeze = true, ...options }: EmbeddingLayerOptions & PretrainedOptions = {},
  ): Embedding {
    const layer = new Embedding(weight.size(0), weight.size(1), options);
    layer.weight = new Parameter(weight, !freeze);
    return layer;
  }

  forward(indices: Tensor): Tensor {
    return embedding(indices, this.weight, { paddingIdx: this.paddingIdx });
  }
}

export interface EmbeddingBagLayerOptions extends EmbeddingLayerOptions {
  readonly mode?: BagMode;
  /** The last offset is the length of the indices, not a bag. */
  readonly includeLastOffset?: boolean;
}

/** Reduced bags of rows of weight [numEmbeddings, embeddingDim]. */
export class EmbeddingBag extends Module<[indices: Tensor, offsets?: Tensor | null, perSampleWeights?: Tensor | null]> {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  readonly mode: BagMode;
  readonly includeLastOffset: boolean;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingBagLayerOptions = {}) {
    super();
    const { mode = "mean", includeLastOffset = false } = options;
    if (!["sum", "mean", "max"].includes(mode))
      throw new ArgumentError("EmbeddingBag", { mode }, "mode must be sum, mean or max");
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIdx = resolvePaddingIdx("EmbeddingBag", options.paddingIdx, numEmbeddings);
    this.mode = mode;
    this.includeLastOffset = includeLastOffset;
    this.weight = table(numEmbeddings, embeddingDim, this.paddingIdx);
  }

  /** A layer around a given table [rows, features], which stays as it is unless `freeze` is false. */
  static fromPretrained(
    weight: Tensor,
    { freeze = true, ...options }: EmbeddingBagLayerOptions & PretrainedOptions = {},
  ): EmbeddingBag {
    const layer = new EmbeddingBag(weight.size(0), weight.size(1), options);
    layer.weight = new Parameter(weight, !freeze);
    return layer;
  }

  forward(indices: Tensor, offsets: Tensor | null = null, perSampleWeights: Tensor | null = null): Tensor {
    const { mode, includeLastOffset, paddingIdx } = this;
    return embeddingBag(indices, this.weight, { offsets, perSampleWeights, mode, includeLastOffset, paddingIdx });
  }
}
