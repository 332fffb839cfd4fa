import fc from "fast-check";
import { expect, test } from "vitest";
import { FewbitError, FileFormatError } from "../../src/errors.ts";
import { readSafetensors, writeSafetensors } from "../../src/data/safetensors.ts";
import { fromArray } from "../../src/tensor/create.ts";
import { dtypeInfo, dtypes } from "../../src/tensor/dtype.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { perChannel, perTensor } from "../../src/tensor/qparams.ts";
import { roundingTo } from "../../src/tensor/small-floats.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

function sample(dtype: DType): Tensor {
  const { kind, min, max, storage } = dtypeInfo[dtype];
  const bound = Math.min(max, 2 ** 53);
  const values =
    kind === "float"
      ? [0, -1.5, 0.1, 3, -0.001, 7].map(roundingTo(dtype))
      : [0, 1, bound, Math.max(min, -bound), 3, 2].map((v) => (kind === "bool" ? v & 1 : v));
  const data = new storage(values);
  return new Tensor(dtype, [2, 3], data, kind === "quantized" ? perTensor(0.1, 3) : undefined);
}

test.each(dtypes)("%s survives a round trip", (dtype) => {
  const before = sample(dtype);
  const after = readSafetensors(writeSafetensors([["x", before]])).tensors.get("x")!;
  expect(after.dtype).toBe(dtype);
  expect(after.shape).toEqual([2, 3]);
  expect(after.data).toEqual(before.data);
  expect(after.qparams).toEqual(before.qparams);
});

test("a file read by Node is a view into a larger block of memory", () => {
  const bytes = writeSafetensors([["x", sample("float32")], ["y", sample("int16")]]);
  const buffer = Buffer.concat([Buffer.alloc(3), Buffer.from(bytes), Buffer.alloc(5)]).subarray(3, 3 + bytes.length);
  const { tensors } = readSafetensors(buffer);
  expect(tensors.get("x")!.data).toEqual(sample("float32").data);
  expect(tensors.get("y")!.data).toEqual(sample("int16").data);
});

test("per-channel parameters and metadata are kept", () => {
  const q = new Tensor("qint8", [2, 2], Int8Array.of(1, -2, 3, -128), perChannel([0.1, 1 / 3], [0, -7], 0));
  const file = readSafetensors(writeSafetensors([["w", q]], { author: "someone" }));
  expect(file.tensors.get("w")!.qparams).toEqual(q.qparams);
  expect(file.metadata).toEqual({ author: "someone" });
});

test("a file with empty tensors and no tensors is read", () => {
  expect(readSafetensors(writeSafetensors([])).tensors.size).toBe(0);
  const empty = fromArray([], [0, 4]);
  expect(readSafetensors(writeSafetensors([["e", empty]])).tensors.get("e")!.shape).toEqual([0, 4]);
});

test.each([
  ["an empty file", new Uint8Array(0)],
  ["a header longer than the file", new Uint8Array([255, 255, 255, 255, 255, 255, 255, 127])],
  ["a header that is not JSON", new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 65, 66])],
])("%s is refused", (_, bytes) => {
  expect(() => readSafetensors(bytes)).toThrow(FileFormatError);
});

test("declared sizes beyond the file are refused before memory is taken", () => {
  const header = new TextEncoder().encode(
    JSON.stringify({ x: { dtype: "F32", shape: [2 ** 40], data_offsets: [0, 2 ** 42] } }),
  );
  const bytes = new Uint8Array(8 + header.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  expect(() => readSafetensors(bytes)).toThrow(/offsets must lie in the file/);
});

test("mutated files give a typed error or a file, never anything else", () => {
  const good = writeSafetensors([
    ["a", sample("float32")],
    ["q", sample("quint8")],
  ]);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, length) => {
      const bytes = good.slice(0, length);
      if (at < bytes.length) bytes[at] = value;
      try {
        readSafetensors(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FewbitError);
      }
    }),
    { numRuns: 1000 },
  );
});
