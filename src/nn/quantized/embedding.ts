/**
 * Embedding tables quantized row by row (8 or 4 bits, float parameters); the looked-up rows are float32.
 * State: `_packed_params._packed_weight`. Source: torch/ao/nn/quantized/modules/embedding_ops.py.
 *
 * PyTorch's eager mode cannot make a 4-bit Embedding (only a 4-bit EmbeddingBag); here both work.
 */

import { DtypeError, QuantError, ShapeError } from "../../errors.ts";
import { quantizedEmbedding, quantizedEmbeddingBag } from "../../ops/quantized/embedding.ts";
import { allocate } from "../../tensor/dtype.ts";
import { perChannel } from "../../tensor/qparams.ts";
import { sameShape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type * as float from "../embedding.ts";
import type { AnyModule } from "../module.ts";
import { QuantizedModule, describe, takeTensor } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { makeWeightObserver, quantizeWeight, weightFakeQuantOf } from "./observed.ts";
import type { FromFloatOptions } from "./observed.ts";

export type EmbeddingDType = "quint8" | "quint4x2";

const PACKED = "_packed_params._packed_weight";

function emptyTable(rows: number, width: number, dtype: EmbeddingDType): Tensor {
  const ones = new Array<number>(rows).fill(1);
  const zeros = new Array<number>(rows).fill(0);
  return new Tensor(dtype, [rows, width], allocate(dtype, rows * width), perChannel(ones, zeros, 0, "perChannelFloat"));
}

/** What both layers share: the table. */
abstract class QuantizedTable<In extends readonly unknown[]> extends QuantizedModule<In> {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly dtype: EmbeddingDType;
  weight: Tensor;

  constructor(numEmbeddings: number, embeddingDim: number, dtype: EmbeddingDType) {
    super();
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.dtype = dtype;
    this.weight = emptyTable(numEmbeddings, embeddingDim, dtype);
  }

  /** @throws DtypeError, ShapeError unless it is a table of this layer's dtype and size. */
  setWeight(weight: Tensor): void {
    const shape = [this.numEmbeddings, this.embeddingDim];
    if (weight.dtype !== this.dtype) {
      throw new DtypeError(
        describe(this),
        { weight: weight.dtype, dtype: this.dtype },
        "the weight must have the layer's dtype",
      );
    }
    if (!sameShape(weight.shape, shape))
      throw new ShapeError(describe(this), { weight: weight.shape, shape }, "shapes must agree");
    this.weight = weight;
  }

  override extraState(): StateEntries {
    return { [PACKED]: this.weight };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weight = takeTensor(this, state, PACKED, this.weight);
    return [PACKED];
  }
}

/** The quantized table of a float layer, and its dtype. @throws QuantError unless the qconfig quantizes by float parameters. */
function tableOf(module: AnyModule & { weight: Tensor }): { weight: Tensor; dtype: EmbeddingDType } {
  const observer = weightFakeQuantOf(module) ?? makeWeightObserver(module);
  const { dtype, qscheme } = observer;
  if (qscheme !== "per_channel_affine_float_qparams" || (dtype !== "quint8" && dtype !== "quint4x2")) {
    throw new QuantError(
      module.path || module.constructor.name,
      { dtype, qscheme },
      "embeddings are quantized to quint8 or quint4x2 with float parameters",
      "Set floatQParamsWeightOnlyQConfig on the embedding (or qconfig = null to leave it float)",
    );
  }
  observer.forward(module.weight.detach());
  return { weight: quantizeWeight(module, module.weight, observer), dtype };
}

/** Rows of a quantized table by index, as float32. */
export class Embedding extends QuantizedTable<[Tensor]> {
  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    { dtype = "quint8" }: { readonly dtype?: EmbeddingDType } = {},
  ) {
    super(numEmbeddings, embeddingDim, dtype);
  }

  forward(indices: Tensor): Tensor {
    return quantizedEmbedding(this.weight, indices);
  }

  static fromFloat(module: float.Embedding, _options: FromFloatOptions = {}): Embedding {
    const { weight, dtype } = tableOf(module);
    const embedding = new Embedding(module.numEmbeddings, module.embeddingDim, { dtype });
    embedding.setWeight(weight);
    return embedding;
  }
}

export interface QuantizedBagOptions {
  readonly dtype?: EmbeddingDType;
  readonly includeLastOffset?: boolean;
}

/** Sums of rows of a quantized table, one a bag, as float32. */
export class EmbeddingBag extends QuantizedTable<
  [indices: Tensor, offsets?: Tensor | null, perSampleWeights?: Tensor | null]
> {
  readonly mode = "sum";
  readonly includeLastOffset: boolean;

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    { dtype = "quint8", includeLastOffset = false }: QuantizedBagOptions = {},
  ) {
    super(numEmbeddings, embeddingDim, dtype);
    this.includeLastOffset = includeLastOffset;
  }

  forward(indices: Tensor, offsets: Tensor | null = null, perSampleWeights: Tensor | null = null): Tensor {
    return quantizedEmbeddingBag(this.weight, indices, {
      offsets,
      perSampleWeights,
      includeLastOffset: this.includeLastOffset,
    });
  }

  /** @throws QuantError for a mode other than "sum", which PyTorch's kernel would silently treat as a sum. */
  static fromFloat(module: float.EmbeddingBag, _options: FromFloatOptions = {}): EmbeddingBag {
    if (module.mode !== "sum") {
      throw new QuantError(
        module.path || "EmbeddingBag",
        { mode: module.mode },
        'quantized bags know only the mode "sum"',
      );
    }
    const { weight, dtype } = tableOf(module);
    const bag = new EmbeddingBag(module.numEmbeddings, module.embeddingDim, {
      dtype,
      includeLastOffset: module.includeLastOffset,
    });
    bag.setWeight(weight);
    return bag;
  }
}
