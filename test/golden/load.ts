/**
 * Reads the golden vectors: the JSON of golden/ with its tensors decoded. The format is described in golden/README.md.
 */

import { readFileSync } from "node:fs";
import { isDType, isQuantized } from "../../src/tensor/dtype.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { perChannel, perTensor } from "../../src/tensor/qparams.ts";
import type { QParams } from "../../src/tensor/qparams.ts";
import { fromArray } from "../../src/tensor/create.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { decodeSmallFloat } from "../../src/tensor/small-floats.ts";

/** A decoded value: tensors are Tensors, the strings "NaN" and "Infinity" are numbers. */
export type Value = null | boolean | number | string | Tensor | readonly Value[] | { readonly [key: string]: Value };
export type Fields = { readonly [key: string]: Value };

export interface GoldenCase {
  readonly name: string;
  /** The operator, class or flow the case is about. */
  readonly op: string;
  readonly inputs: Fields;
  readonly attrs: Fields;
  readonly expected: Fields;
}

export interface GoldenFile {
  readonly header: { readonly script: string; readonly torch: string; readonly engine: string; readonly seed: number };
  readonly cases: readonly GoldenCase[];
}

interface Encoded {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: string;
  readonly qscheme?: string;
  readonly scale?: number;
  readonly zeroPoint?: number;
  readonly scales?: Encoded;
  readonly zeroPoints?: Encoded;
  readonly axis?: number;
}

type Reader = readonly [bytes: number, read: (view: DataView, at: number) => number];

const readers: Partial<Record<DType, Reader>> = {
  float32: [4, (view, at) => view.getFloat32(at, true)],
  float64: [8, (view, at) => view.getFloat64(at, true)],
  float16: [2, (view, at) => decodeSmallFloat("float16", view.getUint16(at, true))],
  int64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  int32: [4, (view, at) => view.getInt32(at, true)],
  qint32: [4, (view, at) => view.getInt32(at, true)],
  int16: [2, (view, at) => view.getInt16(at, true)],
  int8: [1, (view, at) => view.getInt8(at)],
  qint8: [1, (view, at) => view.getInt8(at)],
  uint8: [1, (view, at) => view.getUint8(at)],
  quint8: [1, (view, at) => view.getUint8(at)],
  quint4x2: [1, (view, at) => view.getUint8(at)],
  bool: [1, (view, at) => view.getUint8(at)],
};

function decodeValues(encoded: Encoded): [DType, number[]] {
  const { dtype } = encoded;
  const reader = isDType(dtype) ? readers[dtype] : undefined;
  if (!isDType(dtype) || !reader) throw new Error(`golden files hold no ${dtype}`);
  const bytes = Buffer.from(encoded.data, "base64");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [size, read] = reader;
  return [dtype, Array.from({ length: bytes.length / size }, (_, i) => read(view, i * size))];
}

function decodeQParams(encoded: Encoded): QParams {
  if (!encoded.scales || !encoded.zeroPoints) return perTensor(encoded.scale!, encoded.zeroPoint!);
  const float = encoded.qscheme === "per_channel_affine_float_qparams";
  const [, scales] = decodeValues(encoded.scales);
  const [, zeroPoints] = decodeValues(encoded.zeroPoints);
  return perChannel(scales, zeroPoints, encoded.axis!, float ? "perChannelFloat" : "perChannel");
}

function decodeTensor(encoded: Encoded): Tensor {
  const [dtype, values] = decodeValues(encoded);
  const plain = fromArray(values, encoded.shape, isQuantized(dtype) ? storageDType(dtype) : dtype);
  return isQuantized(dtype) ? new Tensor(dtype, encoded.shape, plain.data, decodeQParams(encoded)) : plain;
}

function storageDType(dtype: DType): DType {
  return dtype === "qint8" ? "int8" : dtype === "qint32" ? "int32" : "uint8";
}

const specials: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };

export function decode(value: unknown): Value {
  if (typeof value === "string") return Object.hasOwn(specials, value) ? specials[value]! : value;
  if (typeof value !== "object" || value === null) return value as Value;
  if (Array.isArray(value)) return value.map(decode);
  if ("dtype" in value && "data" in value && "shape" in value) return decodeTensor(value as Encoded);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
}

/** All cases of golden/<area>.json. */
export function loadGolden(area: string): GoldenFile {
  const text = readFileSync(new URL(`../../golden/${area}.json`, import.meta.url), "utf8");
  const file = JSON.parse(text) as { header: GoldenFile["header"]; cases: Record<string, unknown>[] };
  const cases = file.cases.map((one): GoldenCase => {
    const fields = (key: string): Fields => decode(one[key] ?? {}) as Fields;
    return {
      name: one["name"] as string,
      op: (one["op"] ?? one["flow"]) as string,
      inputs: fields("inputs"),
      attrs: fields("attrs"),
      expected: fields("expected"),
    };
  });
  return { header: file.header, cases };
}
