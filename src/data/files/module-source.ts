/**
 * Samples from a program: a module whose default export (or export `calibration`) is an iterable of batches, or a
 * function that gives one.
 *
 * A batch is a tensor, a list of tensors in the order of the inputs, or an object `{ inputs, labels }` where inputs may
 * also be keyed by name. A tensor is one of this library, or anything with a typed array `data` and a `shape`.
 */

import path from "node:path";
import { pathToFileURL } from "node:url";
import { DataError } from "../../errors.ts";
import type { DType, TypedArray } from "../../tensor/dtype.ts";
import { isDType } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { takeRows } from "../loader.ts";
import { preprocess } from "../preprocess.ts";
import type { Preprocess } from "../preprocess.ts";
import type { BatchOptions, DataBatch, DataSource, InputSpec } from "../source.ts";

export const moduleExtensions: readonly string[] = [".js", ".mjs", ".cjs", ".ts", ".mts"];

const storages: readonly (readonly [new (length: number) => TypedArray, DType])[] = [
  [Float32Array, "float32"], [Float64Array, "float64"], [Uint8Array, "uint8"], [Int8Array, "int8"],
  [Int16Array, "int16"], [Uint16Array, "uint16"], [Int32Array, "int32"], [Uint32Array, "uint32"],
]; // prettier-ignore

/** A module by its path. @throws DataError when it does not load. */
export async function importModule(file: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(path.resolve(file)).href)) as Record<string, unknown>;
  } catch (cause) {
    const { code, message } = cause as { code?: string; message?: string };
    const hint = code === "ERR_UNKNOWN_FILE_EXTENSION" ? "This Node cannot load TypeScript: use Node 24, or JavaScript" : undefined;
    throw new DataError(file, { reason: message?.split("\n")[0] ?? String(cause) }, "the module does not load", hint);
  }
}

type Items = AsyncIterable<unknown> | Iterable<unknown>;

function isIterable(value: unknown): value is Items {
  return typeof value === "object" && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

interface TensorLike {
  readonly data: unknown;
  readonly shape: readonly number[];
  readonly dtype?: unknown;
}

function isTensorLike(value: unknown): value is TensorLike {
  return typeof value === "object" && value !== null && "data" in value && Array.isArray((value as TensorLike).shape);
}

/** A tensor of whatever library. @throws DataError for anything else. */
function toTensor(where: string, item: number, value: unknown): Tensor {
  if (value instanceof Tensor) return value;
  if (isTensorLike(value)) {
    if (value.data instanceof BigInt64Array)
      return new Tensor("int64", value.shape, Float64Array.from(value.data, Number));
    const storage = storages.find(([type]) => value.data instanceof type);
    const named = typeof value.dtype === "string" && isDType(value.dtype) ? value.dtype : undefined;
    if (storage) return new Tensor(named ?? storage[1], value.shape, value.data as TypedArray);
  }
  throw new DataError(
    where,
    { item, given: Array.isArray(value) ? "an array" : typeof value },
    "every batch must be a tensor, a list of tensors, or { inputs, labels }",
  );
}

interface Item {
  readonly inputs: unknown;
  readonly labels: unknown;
}

function parts(value: unknown): Item {
  if (typeof value === "object" && value !== null && "inputs" in value)
    return { inputs: value.inputs, labels: (value as { labels?: unknown }).labels };
  return { inputs: value, labels: undefined };
}

function listInputs(where: string, item: number, given: unknown, inputs: readonly InputSpec[]): Tensor[] {
  if (Array.isArray(given)) return given.map((value) => toTensor(where, item, value));
  if (given instanceof Tensor || isTensorLike(given)) return [toTensor(where, item, given)];
  if (typeof given !== "object" || given === null) return [toTensor(where, item, given)];
  return inputs.map(({ name }) => {
    const value = (given as Record<string, unknown>)[name];
    if (value === undefined)
      throw new DataError(where, { item, input: name, keys: Object.keys(given) }, "a batch has no tensor for this input");
    return toTensor(where, item, value);
  });
}

function listLabels(where: string, item: number, given: unknown, samples: number): number[] | null {
  if (given === undefined || given === null) return null;
  const values = Array.isArray(given) ? given : isTensorLike(given) ? Array.from(given.data as ArrayLike<number>) : [given];
  const labels = values.map(Number);
  if (labels.length === samples && labels.every(Number.isInteger)) return labels;
  throw new DataError(where, { item, labels: labels.length, samples }, "labels must be one class number for each sample");
}

/** A tensor without the axis of samples is one sample. */
function batched(x: Tensor, spec: InputSpec | undefined): Tensor {
  const rank = spec?.shape?.length;
  return rank !== undefined && x.rank === rank - 1 ? new Tensor(x.dtype, [1, ...x.shape], x.data, x.qparams) : x;
}

function slice(batch: DataBatch, from: number, to: number): DataBatch {
  if (from === 0 && to >= batch.samples) return batch;
  const rows = Array.from({ length: to - from }, (_, i) => from + i);
  return {
    inputs: batch.inputs.map((x) => takeRows(x, rows)),
    labels: batch.labels?.slice(from, to) ?? null,
    samples: rows.length,
  };
}

/**
 * What a module's iterable gives, as samples. Batches stay as the module makes them, except that a model with a fixed
 * batch gets its own size.
 * @throws DataError when the module does not load or exports no iterable.
 */
export async function moduleSource(
  file: string,
  inputs: readonly InputSpec[],
  options: Preprocess = {},
): Promise<DataSource> {
  const module = await importModule(file);
  const exported = module["calibration"] ?? module["default"];
  const start = (): unknown => (typeof exported === "function" ? (exported as () => unknown)() : exported);
  if (typeof exported !== "function" && !isIterable(exported))
    throw new DataError(
      file,
      { exports: Object.keys(module) },
      "the module must export an iterable of batches, or a function that gives one, as default or as `calibration`",
    );
  const fixed = inputs.find(({ shape }) => shape !== null && shape.length > 0)?.shape?.[0] ?? null;
  const convert = (value: unknown, item: number): DataBatch => {
    const { inputs: given, labels } = parts(value);
    const tensors = listInputs(file, item, given, inputs).map((x, i) => {
      const rows = batched(x, inputs[i]);
      return inputs[i] ? preprocess(rows, inputs[i], options) : rows;
    });
    const samples = tensors[0]?.shape[0] ?? 1;
    return { inputs: tensors, labels: listLabels(file, item, labels, samples), samples };
  };
  return {
    name: file,
    samples: null,
    hasLabels: true,
    classNames: null,
    sampleName: (index) => `${index} of ${path.basename(file)}`,
    async *batches({ from = 0, limit = Infinity }: BatchOptions): AsyncGenerator<DataBatch> {
      const items = await start();
      if (!isIterable(items))
        throw new DataError(file, { given: typeof items }, "the exported function must give an iterable of batches");
      let [at, item] = [0, 0];
      for await (const value of items) {
        const batch = convert(value, item++);
        const step = fixed ?? batch.samples;
        for (let row = 0; row < batch.samples && at < limit; row += step) {
          const end = Math.min(row + step, batch.samples, row + limit - at);
          if (at >= from) yield slice(batch, row, end);
          at += end - row;
        }
        if (at >= limit) return;
      }
    },
  };
}
