/**
 * Where samples for calibration and evaluation come from: batches of tensors, one tensor an input of the model.
 *
 * A source is read batch by batch and never held; what kind of files is behind it (src/data/files/) is its own
 * affair. Everything that could spoil a calibration is refused here, by file and sample.
 */

import { DataError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { isFloat } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** An input of a model: what its data must look like. */
export interface InputSpec {
  readonly name: string;
  readonly dtype: DType;
  /** Sizes, null where any size will do; null as a whole when not even the number of axes is known. Axis 0 counts samples. */
  readonly shape: readonly (number | null)[] | null;
}

export interface DataBatch {
  /** One tensor an input, in the model's order. */
  readonly inputs: readonly Tensor[];
  /** Class of each sample; null when the data has no labels. */
  readonly labels: readonly number[] | null;
  /** Samples in this batch. */
  readonly samples: number;
}

export interface BatchOptions {
  readonly batchSize: number;
  /** First sample (default 0): a resumed calibration goes on where it stopped. */
  readonly from?: number;
  /** Most samples, counted from the first one of the data. */
  readonly limit?: number;
}

export interface DataSource {
  /** What errors call it: a file's or folder's name. */
  readonly name: string;
  /** Samples in all; null when nobody knows before the end. */
  readonly samples: number | null;
  readonly hasLabels: boolean;
  /** Names of the classes by label, where the data gives them. */
  readonly classNames: readonly string[] | null;
  /** How errors name a sample. */
  sampleName(index: number): string;
  batches(options: BatchOptions): AsyncIterable<DataBatch>;
}

/** `float32[N,3,32,32]`: a type as people write it. */
export function typeText({ dtype, shape }: { dtype: DType; shape: readonly (number | null)[] | null }): string {
  if (shape === null) return `${dtype}[?]`;
  return `${dtype}[${shape.map((size, axis) => size ?? (axis === 0 ? "N" : "?")).join(",")}]`;
}

/** Whether a tensor is of an input's type. */
export function fitsInput(tensor: Tensor, { dtype, shape }: InputSpec): boolean {
  if (tensor.dtype !== dtype) return false;
  if (shape === null) return true;
  return shape.length === tensor.rank && shape.every((size, axis) => size === null || size === tensor.shape[axis]);
}

/** Index of the first value that is not finite; -1 when all are. */
export function firstNotFinite(tensor: Tensor): number {
  if (!isFloat(tensor.dtype)) return -1;
  const { data } = tensor;
  // A sum of products with zero is NaN exactly when some value is not finite: one pass without branches.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]! * 0;
  if (sum === 0) return -1;
  return data.findIndex((value) => !Number.isFinite(value));
}

/**
 * A source whose batches are checked: every input present, of the model's type, and finite.
 * @throws DataError (while iterating) naming file and sample; when there is not a single sample.
 */
export function checkedSource(source: DataSource, inputs: readonly InputSpec[]): DataSource {
  return {
    name: source.name,
    samples: source.samples,
    hasLabels: source.hasLabels,
    classNames: source.classNames,
    sampleName: (index) => source.sampleName(index),
    async *batches(options) {
      let at = options.from ?? 0;
      for await (const batch of source.batches(options)) {
        checkBatch(source, inputs, batch, at);
        at += batch.samples;
        yield batch;
      }
      if (at === 0) throw new DataError(source.name, {}, "there is no data: not a single sample was found");
    },
  };
}

function checkBatch(source: DataSource, inputs: readonly InputSpec[], batch: DataBatch, from: number): void {
  if (batch.inputs.length !== inputs.length)
    throw new DataError(
      source.name,
      { sample: source.sampleName(from), tensors: batch.inputs.length, inputs: inputs.map(({ name }) => name) },
      "a sample must have one tensor for each input of the model",
    );
  inputs.forEach((spec, i) => {
    const tensor = batch.inputs[i]!;
    if (!fitsInput(tensor, spec))
      throw new DataError(
        source.name,
        { sample: source.sampleName(from), input: spec.name, given: typeText(tensor), expected: typeText(spec) },
        "the data does not have the type of the model's input",
      );
    const bad = firstNotFinite(tensor);
    if (bad < 0) return;
    const row = Math.floor(bad / (tensor.numel / Math.max(batch.samples, 1)));
    throw new DataError(
      source.name,
      { sample: source.sampleName(from + row), input: spec.name, value: String(tensor.data[bad]) },
      "the data holds a value that is not a finite number",
    );
  });
}

/** Batch size to read with: the model's own where it is fixed. */
export function batchSizeFor(inputs: readonly InputSpec[], wanted: number): number {
  return inputs.find(({ shape }) => shape !== null && shape.length > 0)?.shape?.[0] ?? wanted;
}
