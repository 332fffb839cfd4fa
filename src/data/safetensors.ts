/**
 * safetensors files: named tensors behind a JSON header.
 *
 * Format: https://github.com/huggingface/safetensors. A quantized tensor is stored as its integers; its
 * dtype, shape and QParams go as JSON into the header's metadata under one key, so that other programs still
 * read the integers. Reading trusts nothing: offsets are checked against the file before anything is made.
 */

import { FileFormatError } from "../errors.ts";
import { isDType, isQuantized } from "../tensor/dtype.ts";
import type { DType } from "../tensor/dtype.ts";
import type { QParams } from "../tensor/qparams.ts";
import { numel } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { decodeValues, encodeValues, wireSize } from "../tensor/wire.ts";

const QUANTIZED_KEY = "fewbit.quantized";
const HEADER_LIMIT = 100_000_000;

/** safetensors' dtype names; 4-bit values travel as the bytes they are packed into. */
const wireNames: readonly (readonly [string, DType])[] = [
  ["F64", "float64"], ["F32", "float32"], ["F16", "float16"], ["BF16", "bfloat16"], ["F8_E4M3", "float8_e4m3fn"],
  ["F8_E5M2", "float8_e5m2"], ["I64", "int64"], ["U64", "uint64"], ["I32", "int32"], ["U32", "uint32"],
  ["I16", "int16"], ["U16", "uint16"], ["I8", "int8"], ["U8", "uint8"], ["BOOL", "bool"],
]; // prettier-ignore

const dtypes = new Map(wireNames);

const plainForm: Partial<Record<DType, DType>> = { qint8: "int8", quint8: "uint8", qint32: "int32" };

interface QuantizedNote {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly qparams?: QParams;
}

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** How a tensor is written: its wire dtype and shape, and a note when they are not its own. */
function wireForm(tensor: Tensor): { name: string; shape: readonly number[]; note?: QuantizedNote } {
  const own = wireNames.find(([, dtype]) => dtype === tensor.dtype);
  if (own) return { name: own[0], shape: tensor.shape };
  const note: QuantizedNote = {
    dtype: tensor.dtype,
    shape: tensor.shape,
    ...(tensor.qparams && { qparams: tensor.qparams }),
  };
  const plain = plainForm[tensor.dtype];
  if (plain) return { name: wireNames.find(([, dtype]) => dtype === plain)![0], shape: tensor.shape, note };
  return { name: "U8", shape: [wireSize(tensor.dtype, tensor.numel)], note };
}

/** The bytes of a safetensors file. Tensors keep the given order. */
export function writeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = {};
  const notes: Record<string, QuantizedNote> = {};
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const [name, tensor] of tensors) {
    const { name: dtype, shape, note } = wireForm(tensor);
    if (note) notes[name] = note;
    const bytes = encodeValues(tensor.dtype, tensor.data);
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    chunks.push(bytes);
    offset += bytes.length;
  }
  const meta = { ...metadata, ...(Object.keys(notes).length > 0 && { [QUANTIZED_KEY]: JSON.stringify(notes) }) };
  const json = JSON.stringify({ ...(Object.keys(meta).length > 0 && { __metadata__: meta }), ...header });
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.length / 8) * 8;
  const out = new Uint8Array(8 + padded + offset).fill(0x20, 8, 8 + padded);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.set(text, 8);
  let at = 8 + padded;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

/** Bytes of the header behind the first eight, from these. @throws FileFormatError when they cannot be in the file. */
export function safetensorsHeaderLength(bytes: Uint8Array, fileBytes = bytes.length): number {
  if (bytes.length < 8)
    throw new FileFormatError("safetensors", { bytes: bytes.length }, "the file ends inside its header length");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(Math.min(fileBytes - 8, HEADER_LIMIT))) {
    throw new FileFormatError(
      "safetensors",
      { headerBytes: length, fileBytes },
      "the header does not fit into the file",
    );
  }
  return Number(length);
}

function parseHeader(bytes: Uint8Array, fileBytes: number): { header: Record<string, unknown>; dataStart: number } {
  const length = safetensorsHeaderLength(bytes, fileBytes);
  const dataStart = 8 + length;
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, dataStart)));
  } catch {
    throw new FileFormatError("safetensors", { headerBytes: length }, "the header is not JSON");
  }
  if (!isRecord(header)) throw new FileFormatError("safetensors", {}, "the header must be a JSON object");
  return { header, dataStart };
}

function checkEntry(name: string, value: unknown, dataBytes: number): { entry: Entry; dtype: DType } {
  if (
    !isRecord(value) ||
    !isSizes(value["shape"]) ||
    !isSizes(value["data_offsets"]) ||
    value["data_offsets"].length !== 2
  ) {
    throw new FileFormatError(
      "safetensors",
      { tensor: name },
      "an entry must have a dtype, a shape and two data_offsets",
    );
  }
  const entry = value as unknown as Entry;
  const dtype = dtypes.get(entry.dtype);
  if (!dtype) throw new FileFormatError("safetensors", { tensor: name, dtype: entry.dtype }, "the dtype is not known");
  const [start, end] = entry.data_offsets;
  if (start > end || end > dataBytes || end - start !== wireSize(dtype, numel(entry.shape))) {
    throw new FileFormatError(
      "safetensors",
      { tensor: name, shape: entry.shape, offsets: entry.data_offsets, dataBytes },
      "the offsets must lie in the file and hold exactly the tensor",
    );
  }
  return { entry, dtype };
}

function parseNotes(metadata: Readonly<Record<string, string>>): Record<string, unknown> {
  const text = metadata[QUANTIZED_KEY];
  if (text === undefined) return {};
  try {
    const notes: unknown = JSON.parse(text);
    if (isRecord(notes)) return notes;
  } catch {
    // Falls through to the error below.
  }
  throw new FileFormatError("safetensors", { key: QUANTIZED_KEY }, "the notes on quantized tensors are not JSON");
}

function isQParams(value: unknown): value is QParams {
  if (!isRecord(value)) return false;
  const numbers = (list: unknown): boolean => Array.isArray(list) && list.every((v) => typeof v === "number");
  if (value["kind"] === "perTensor") return numbers([value["scale"], value["zeroPoint"]]);
  const perChannel = value["kind"] === "perChannel" || value["kind"] === "perChannelFloat";
  return perChannel && numbers(value["scales"]) && numbers(value["zeroPoints"]) && numbers([value["axis"]]);
}

function isNote(note: unknown): note is QuantizedNote {
  if (!isRecord(note) || typeof note["dtype"] !== "string" || !isDType(note["dtype"]) || !isSizes(note["shape"]))
    return false;
  return isQuantized(note["dtype"]) ? isQParams(note["qparams"]) : note["qparams"] === undefined;
}

function fromNote(name: string, note: unknown, bytes: Uint8Array): Tensor {
  if (!isNote(note)) throw new FileFormatError("safetensors", { tensor: name }, "its quantization note is malformed");
  return new Tensor(note.dtype, note.shape, decodeValues(note.dtype, bytes, numel(note.shape)), note.qparams);
}

/** A tensor of a file that has not been read yet. */
export interface StoredTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where its values begin in the file. */
  readonly start: number;
}

/**
 * Which tensors a file holds, from its beginning: eight bytes and the header.
 * @throws FileFormatError as readSafetensors.
 */
export function readSafetensorsHeader(bytes: Uint8Array, fileBytes: number): Map<string, StoredTensor> {
  const { header, dataStart } = parseHeader(bytes, fileBytes);
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(([name, value]) => {
        const { entry, dtype } = checkEntry(name, value, fileBytes - dataStart);
        return [name, { dtype, shape: entry.shape, start: dataStart + entry.data_offsets[0] }];
      }),
  );
}

/**
 * Reads a safetensors file held in memory.
 * @throws FileFormatError for anything that is not a whole, consistent file.
 */
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  const { header, dataStart } = parseHeader(bytes, bytes.length);
  const data = bytes.subarray(dataStart);
  const meta = header["__metadata__"];
  const metadata = isRecord(meta)
    ? Object.fromEntries(Object.entries(meta).map(([key, value]) => [key, String(value)]))
    : {};
  const notes = parseNotes(metadata);
  const tensors = new Map<string, Tensor>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { entry, dtype } = checkEntry(name, value, data.length);
    const own = data.subarray(...entry.data_offsets);
    const note = notes[name];
    tensors.set(
      name,
      note ? fromNote(name, note, own) : new Tensor(dtype, entry.shape, decodeValues(dtype, own, numel(entry.shape))),
    );
  }
  const { [QUANTIZED_KEY]: _, ...rest } = metadata;
  return { tensors, metadata: rest };
}
