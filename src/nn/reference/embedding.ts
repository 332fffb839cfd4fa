/**
 * Reference embedding layers: float rows of the table integers will have.
 * Source: torch/ao/nn/quantized/reference/modules/sparse.py.
 */

import { embeddingBag } from "../../ops/embedding-bag.ts";
import { embedding } from "../../ops/embedding.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as float from "../embedding.ts";
import type { EmbeddingBagLayerOptions, EmbeddingLayerOptions } from "../embedding.ts";
import { withRoundedWeight } from "./rounded-weight.ts";
import { observeWeightQParams } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

/** Rows by index. */
export class Embedding extends withRoundedWeight(float.Embedding) {
  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    options: EmbeddingLayerOptions,
    weightQParams: WeightQParams,
  ) {
    super(numEmbeddings, embeddingDim, options);
    this.weightQParams = weightQParams;
  }

  override forward(indices: Tensor): Tensor {
    return embedding(indices, this.getWeight(), { paddingIdx: this.paddingIdx });
  }

  static fromFloat(module: float.Embedding): Embedding {
    const { numEmbeddings, embeddingDim, paddingIdx } = module;
    const table = new Embedding(
      numEmbeddings,
      embeddingDim,
      { paddingIdx },
      observeWeightQParams(module, module.weight),
    );
    table.weight = module.weight;
    return table;
  }
}

/** Reduced bags of rows. */
export class EmbeddingBag extends withRoundedWeight(float.EmbeddingBag) {
  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    options: EmbeddingBagLayerOptions,
    weightQParams: WeightQParams,
  ) {
    super(numEmbeddings, embeddingDim, options);
    this.weightQParams = weightQParams;
  }

  override forward(indices: Tensor, offsets: Tensor | null = null, perSampleWeights: Tensor | null = null): Tensor {
    return embeddingBag(indices, this.getWeight(), {
      offsets,
      perSampleWeights,
      mode: this.mode,
      paddingIdx: this.paddingIdx,
      includeLastOffset: this.includeLastOffset,
    });
  }

  static fromFloat(module: float.EmbeddingBag): EmbeddingBag {
    const { numEmbeddings, embeddingDim, paddingIdx, mode, includeLastOffset } = module;
    const options = { paddingIdx, mode, includeLastOffset };
    const bag = new EmbeddingBag(numEmbeddings, embeddingDim, options, observeWeightQParams(module, module.weight));
    bag.weight = module.weight;
    return bag;
  }
}
