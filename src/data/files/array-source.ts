/** Samples from arrays: rows of .npy, .npz and .safetensors files, and folders of .npy files with a sample each. */

import { readdirSync } from "node:fs";
import path from "node:path";
import { DataError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Tensor as TensorClass } from "../../tensor/tensor.ts";
import { preprocess } from "../preprocess.ts";
import type { Preprocess } from "../preprocess.ts";
import type { BatchOptions, DataBatch, DataSource, InputSpec } from "../source.ts";
import { cat } from "../../ops/cat.ts";
import { openArrays } from "./array-file.ts";
import type { StoredArray } from "./array-file.ts";

export interface ArrayOptions extends Preprocess {
  /** Which array is which input: by input name, or one key for a model with one input. */
  readonly inputKeys?: Readonly<Record<string, string>> | string;
  /** Which array holds the classes; by default one called labels, label, targets, target or y. */
  readonly labelsKey?: string;
  /** A file with the classes: .npy, or another file with an array of such a name. */
  readonly labels?: string;
}

const LABEL_KEYS = ["labels", "label", "targets", "target", "y"];
const INPUT_KEYS = ["images", "image", "x", "inputs", "input", "data"];

type Arrays = ReadonlyMap<string, StoredArray>;

function required(file: string, arrays: Arrays, key: string): StoredArray {
  const found = arrays.get(key);
  if (found) return found;
  throw new DataError(file, { key, arrays: [...arrays.keys()] }, "the file holds no array of that name");
}

/** The array for each input. */
function chooseInputs(file: string, arrays: Arrays, inputs: readonly InputSpec[], options: ArrayOptions): StoredArray[] {
  const { inputKeys, labelsKey } = options;
  const only = inputs.length === 1;
  return inputs.map(({ name }) => {
    const key = typeof inputKeys === "string" ? (only ? inputKeys : undefined) : inputKeys?.[name];
    if (key !== undefined) return required(file, arrays, key);
    const named = arrays.get(name);
    if (named) return named;
    const others = [...arrays.keys()].filter((other) => other !== labelsKey && !LABEL_KEYS.includes(other));
    const likely = others.length === 1 ? others[0] : INPUT_KEYS.find((other) => arrays.has(other));
    if (only && likely !== undefined) return arrays.get(likely)!;
    throw new DataError(
      file,
      { input: name, arrays: [...arrays.keys()] },
      "no array of the file has the name of this input",
      "Name the array to use (--input-key)",
    );
  });
}

function classesOf(file: string, array: StoredArray, samples: number): number[] {
  const classes = Array.from(array.whole().data);
  if (classes.length !== samples)
    throw new DataError(file, { labels: classes.length, samples }, "there must be one label for each sample");
  const bad = classes.findIndex((label) => !Number.isInteger(label) || label < 0);
  if (bad >= 0)
    throw new DataError(file, { sample: bad, label: classes[bad] }, "labels must be class numbers: 0, 1, 2, ...");
  return classes;
}

function chooseLabels(file: string, arrays: Arrays, samples: number, options: ArrayOptions): number[] | null {
  const { labels, labelsKey } = options;
  const from = labels === undefined ? arrays : openArrays(labels);
  const where = labels ?? file;
  if (labelsKey !== undefined) return classesOf(where, required(where, from, labelsKey), samples);
  const key = from.size === 1 && labels !== undefined ? [...from.keys()][0] : LABEL_KEYS.find((name) => from.has(name));
  if (key !== undefined) return classesOf(where, from.get(key)!, samples);
  if (labels === undefined) return null;
  throw new DataError(labels, { arrays: [...from.keys()] }, "the file holds no array of labels");
}

/** An array that is one sample itself, seen as a row. */
function asRows(array: StoredArray, spec: InputSpec, imagesWithoutChannels: boolean): StoredArray {
  const rank = spec.shape?.length;
  if (rank === undefined || array.shape.length !== rank - 1 || imagesWithoutChannels) return array;
  const shape = [1, ...array.shape];
  const whole = (): Tensor => new TensorClass(array.dtype, shape, array.whole().data);
  return { dtype: array.dtype, shape, whole, rows: whole };
}

/** [n, h, w] of a model with one channel is n images, not one. */
function isGrayStack({ shape }: StoredArray, spec: InputSpec): boolean {
  return shape.length === 3 && spec.shape?.length === 4 && (spec.shape[1] === 1 || spec.shape[3] === 1);
}

/**
 * The rows of a file's arrays as samples.
 * @throws DataError when the arrays do not belong to the inputs; FileFormatError for broken files.
 */
export function arraySource(file: string, inputs: readonly InputSpec[], options: ArrayOptions = {}): DataSource {
  const arrays = openArrays(file);
  const chosen = chooseInputs(file, arrays, inputs, options).map((array, i) =>
    asRows(array, inputs[i]!, isGrayStack(array, inputs[i]!)),
  );
  const lengths = chosen.map(({ shape }) => shape[0] ?? 0);
  const samples = lengths[0] ?? 0;
  if (lengths.some((length) => length !== samples))
    throw new DataError(file, { lengths }, "the arrays of all inputs must have equally many rows");
  const labels = chooseLabels(file, arrays, samples, options);
  return {
    name: file,
    samples,
    hasLabels: labels !== null,
    classNames: null,
    sampleName: (index) => `${index} of ${file}`,
    // eslint-disable-next-line @typescript-eslint/require-await -- files are read at once, others are not
    async *batches({ batchSize, from = 0, limit = Infinity }: BatchOptions): AsyncGenerator<DataBatch> {
      const end = Math.min(samples, limit);
      for (let at = from; at < end; at += batchSize) {
        const count = Math.min(batchSize, end - at);
        const tensors = chosen.map((array, i) => preprocess(array.rows(at, count), inputs[i]!, options));
        yield { inputs: tensors, labels: labels?.slice(at, at + count) ?? null, samples: count };
      }
    },
  };
}

/** The .npy files of a folder, by name. */
export function npyFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.toLowerCase().endsWith(".npy"))
    .sort()
    .map((name) => path.join(folder, name));
}

/**
 * A folder of .npy files, each a sample or a few, for a model with one input.
 * @throws DataError for models with several inputs: keep those in .npz files.
 */
export function npyFolderSource(folder: string, inputs: readonly InputSpec[], options: ArrayOptions = {}): DataSource {
  if (inputs.length !== 1)
    throw new DataError(
      folder,
      { inputs: inputs.map(({ name }) => name) },
      "a folder of .npy files serves models with one input",
      "Put the arrays of all inputs into one .npz or .safetensors file",
    );
  const parts = npyFiles(folder).map((file) => arraySource(file, inputs, options));
  const starts: number[] = [];
  const samples = parts.reduce((sum, part) => (starts.push(sum), sum + (part.samples ?? 0)), 0);
  const partOf = (index: number): number => starts.findLastIndex((start) => start <= index);
  const read = async (index: number): Promise<Tensor> => {
    const part = partOf(index);
    const at = index - starts[part]!;
    for await (const batch of parts[part]!.batches({ batchSize: 1, from: at, limit: at + 1 })) return batch.inputs[0]!;
    throw new DataError(parts[part]!.name, { sample: index }, "the file became shorter while it was read");
  };
  return {
    name: folder,
    samples,
    hasLabels: false,
    classNames: null,
    sampleName: (index) => parts[partOf(index)]?.sampleName(index - (starts[partOf(index)] ?? 0)) ?? String(index),
    async *batches({ batchSize, from = 0, limit = Infinity }: BatchOptions): AsyncGenerator<DataBatch> {
      const end = Math.min(samples, limit);
      for (let at = from; at < end; at += batchSize) {
        const rows: Tensor[] = [];
        for (let i = at; i < Math.min(at + batchSize, end); i++) rows.push(await read(i));
        const fits = rows.every((row) => row.shape.join() === rows[0]!.shape.join());
        if (!fits)
          throw new DataError(folder, { sample: this.sampleName(at) }, "the files of a batch hold different shapes");
        yield { inputs: [cat(rows, 0)], labels: null, samples: rows.length };
      }
    },
  };
}
