/**
 * Embedding layers with a fake-quantized table, for quantization-aware training.
 * Source: torch/ao/nn/qat/modules/embedding_ops.py.
 */

import { QuantError } from "../../errors.ts";
import { embedding } from "../../ops/embedding.ts";
import { embeddingBag } from "../../ops/embedding-bag.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as float from "../embedding.ts";
import type { EmbeddingBagLayerOptions, EmbeddingLayerOptions } from "../embedding.ts";
import type { Module } from "../module.ts";
import { requireQConfig } from "./qconfig.ts";

/** The fake-quantize module of a table. @throws QuantError unless it quantizes row by row with float parameters. */
function tableFakeQuant(where: string, qconfig: unknown): Module {
  const fakeQuant = requireQConfig(where, qconfig).weight();
  const { qscheme } = fakeQuant as { qscheme?: string };
  if (qscheme !== "per_channel_affine_float_qparams") {
    throw new QuantError(
      where,
      { qscheme },
      "tables are quantized row by row with float parameters",
      "Use defaultEmbeddingQatQConfig",
    );
  }
  return fakeQuant;
}

export class Embedding extends float.Embedding {
  weightFakeQuant: Module;

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    options: EmbeddingLayerOptions & { readonly qconfig: unknown },
  ) {
    super(numEmbeddings, embeddingDim, options);
    this.qconfig = options.qconfig;
    this.weightFakeQuant = tableFakeQuant("qat.Embedding", options.qconfig);
  }

  override forward(indices: Tensor): Tensor {
    return embedding(indices, this.weightFakeQuant.forward(this.weight), { paddingIdx: this.paddingIdx });
  }

  static fromFloat(module: float.Embedding): Embedding {
    const { numEmbeddings, embeddingDim, paddingIdx, qconfig } = module;
    const qat = new Embedding(numEmbeddings, embeddingDim, { paddingIdx, qconfig });
    qat.weight = module.weight;
    return qat;
  }

  toFloat(): float.Embedding {
    const table = new float.Embedding(this.numEmbeddings, this.embeddingDim, { paddingIdx: this.paddingIdx });
    table.weight = new Parameter(this.weight.copy());
    return table.train(this.training);
  }
}

export class EmbeddingBag extends float.EmbeddingBag {
  weightFakeQuant: Module;

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    options: EmbeddingBagLayerOptions & { readonly qconfig: unknown },
  ) {
    super(numEmbeddings, embeddingDim, options);
    this.qconfig = options.qconfig;
    this.weightFakeQuant = tableFakeQuant("qat.EmbeddingBag", options.qconfig);
  }

  override forward(indices: Tensor, offsets: Tensor | null = null, perSampleWeights: Tensor | null = null): Tensor {
    const { mode, paddingIdx, includeLastOffset } = this;
    const weight = this.weightFakeQuant.forward(this.weight);
    return embeddingBag(indices, weight, { offsets, perSampleWeights, mode, paddingIdx, includeLastOffset });
  }

  static fromFloat(module: float.EmbeddingBag): EmbeddingBag {
    const { numEmbeddings, embeddingDim, paddingIdx, mode, includeLastOffset, qconfig } = module;
    const qat = new EmbeddingBag(numEmbeddings, embeddingDim, { paddingIdx, mode, includeLastOffset, qconfig });
    qat.weight = module.weight;
    return qat;
  }

  toFloat(): float.EmbeddingBag {
    const { paddingIdx, mode, includeLastOffset } = this;
    const table = new float.EmbeddingBag(this.numEmbeddings, this.embeddingDim, {
      paddingIdx,
      mode,
      includeLastOffset,
    });
    table.weight = new Parameter(this.weight.copy());
    return table.train(this.training);
  }
}
