/**
 * Dataset and DataLoader: batches of samples, shuffled when asked, the same order for the same seed.
 */

import { ArgumentError } from "../errors.ts";
import { defaultGenerator } from "../tensor/context.ts";
import { allocate } from "../tensor/dtype.ts";
import type { Generator } from "../tensor/random.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";

/** Anything that can be indexed; each item is a list of tensors (image, label, ...). */
export interface Dataset {
  readonly length: number;
  get(index: number): readonly Tensor[];
}

/** Rows `indices` of axis 0, gathered. */
export function takeRows(x: Tensor, indices: readonly number[]): Tensor {
  const row = numel(x.shape.slice(1));
  const out = allocate(x.dtype, row * indices.length);
  indices.forEach((index, i) => out.set(x.data.subarray(index * row, (index + 1) * row), i * row));
  return new Tensor(x.dtype, [indices.length, ...x.shape.slice(1)], out, x.qparams);
}

/** Tensors of equal length along axis 0, indexed together. @throws ArgumentError when lengths differ. */
export class TensorDataset implements Dataset {
  readonly tensors: readonly Tensor[];
  readonly length: number;

  constructor(...tensors: readonly Tensor[]) {
    const lengths = tensors.map((tensor) => tensor.shape[0] ?? 0);
    if (tensors.length === 0 || new Set(lengths).size !== 1) {
      throw new ArgumentError("TensorDataset", { lengths }, "all tensors must have the same length along axis 0");
    }
    this.tensors = tensors;
    this.length = lengths[0]!;
  }

  get(index: number): readonly Tensor[] {
    return this.tensors.map((x) => new Tensor(x.dtype, x.shape.slice(1), takeRows(x, [index]).data, x.qparams));
  }

  /** Many samples at once, already stacked. */
  getBatch(indices: readonly number[]): readonly Tensor[] {
    return this.tensors.map((x) => takeRows(x, indices));
  }
}

export interface DataLoaderOptions {
  readonly batchSize?: number;
  readonly shuffle?: boolean;
  /** Leave out a last batch that is not full. */
  readonly dropLast?: boolean;
  readonly generator?: Generator;
}

/** Stacks equal-shaped tensors along a new axis 0. @throws ArgumentError when shapes differ. */
function stackSamples(samples: readonly Tensor[]): Tensor {
  const first = samples[0]!;
  const size = first.numel;
  const out = allocate(first.dtype, size * samples.length);
  samples.forEach((sample, i) => {
    if (sample.numel !== size || sample.dtype !== first.dtype) {
      throw new ArgumentError(
        "DataLoader",
        { first: first.shape, other: sample.shape },
        "samples of a batch must have one shape and dtype",
      );
    }
    out.set(sample.data, i * size);
  });
  return new Tensor(first.dtype, [samples.length, ...first.shape], out, first.qparams);
}

/** Iterates over a dataset in batches; every iteration is a new pass (reshuffled when `shuffle`). */
export class DataLoader implements Iterable<readonly Tensor[]> {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  private readonly generator: Generator;

  /** @throws ArgumentError unless batchSize is a positive integer. */
  constructor(dataset: Dataset, options: DataLoaderOptions = {}) {
    const { batchSize = 1, shuffle = false, dropLast = false, generator = defaultGenerator() } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new ArgumentError("DataLoader", { batchSize }, "batchSize must be a positive integer");
    }
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.shuffle = shuffle;
    this.dropLast = dropLast;
    this.generator = generator;
  }

  /** Number of batches in one pass. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  *[Symbol.iterator](): Iterator<readonly Tensor[]> {
    const { dataset, batchSize, length } = this;
    const order = this.shuffle
      ? this.generator.permutation(dataset.length)
      : Array.from({ length: dataset.length }, (_, i) => i);
    for (let batch = 0; batch < length; batch++) {
      const indices = order.slice(batch * batchSize, (batch + 1) * batchSize);
      if (dataset instanceof TensorDataset) yield dataset.getBatch(indices);
      else yield collate(indices.map((index) => dataset.get(index)));
    }
  }
}

function collate(samples: readonly (readonly Tensor[])[]): readonly Tensor[] {
  return samples[0]!.map((_, field) => stackSamples(samples.map((sample) => sample[field]!)));
}
