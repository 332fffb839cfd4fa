import { zipSync } from "fflate";
import { expect, test } from "vitest";
import { DtypeError, FileFormatError } from "../../src/errors.ts";
import { readNpy, readNpz, writeNpy, writeNpz } from "../../src/data/npy.ts";
import { fromArray, tensor } from "../../src/tensor/create.ts";
import { perTensor } from "../../src/tensor/qparams.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

function npy(header: string, data: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(header);
  const out = new Uint8Array(10 + text.length + data.length);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  out.set(text, 10);
  out.set(data, 10 + text.length);
  return out;
}

test.each(["float32", "float64", "float16", "int64", "uint8", "int16", "bool"] as const)(
  "%s survives a round trip",
  (dtype) => {
    const x = fromArray([0, 1, 1, 0, 1, 1], [3, 2], dtype);
    const back = readNpy(writeNpy(x));
    expect([back.dtype, back.shape, [...back.data]]).toEqual([dtype, [3, 2], [...x.data]]);
  },
);

test("one-dimensional and 0-d shapes are spelled as NumPy spells them", () => {
  expect(readNpy(writeNpy(tensor([1, 2, 3]))).shape).toEqual([3]);
  expect(readNpy(writeNpy(tensor(5))).item()).toBe(5);
});

test("Fortran order and big-endian arrays are read", () => {
  const header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
  const data = Uint8Array.of(0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6);
  expect(readNpy(npy(header, data)).tolist()).toEqual([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
});

test.each([
  ["not a .npy file", new Uint8Array(20), /does not begin/],
  [
    "too little data",
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,), }", new Uint8Array(4)),
    /exactly the values/,
  ],
  [
    "an object array",
    npy("{'descr': '|O8', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(8)),
    /cannot be read/,
  ],
])("%s is refused", (_, bytes, message) => {
  expect(() => readNpy(bytes)).toThrow(message);
});

test("npz holds several arrays, packed or not", () => {
  const arrays = [["a", tensor([1, 2])], ["b/c", tensor([[3]])]] as const; // prettier-ignore
  for (const compress of [false, true]) {
    const back = readNpz(writeNpz(arrays, { compress }));
    expect([...back.keys()]).toEqual(["a", "b/c"]);
    expect(back.get("b/c")!.tolist()).toEqual([[3]]);
  }
});

test("a broken archive and a lying member are refused", () => {
  expect(() => readNpz(new Uint8Array(30))).toThrow(FileFormatError);
  const bytes = zipSync({ "a.npy": writeNpy(tensor([1])) });
  const directory = bytes.length - 22 - 46 - "a.npy".length;
  new DataView(bytes.buffer).setUint32(directory + 24, 0x7fffffff, true);
  expect(() => readNpz(bytes)).toThrow(/declares more/);
});

test("NumPy has no quantized dtypes", () => {
  expect(() => writeNpy(new Tensor("qint8", [1], Int8Array.of(1), perTensor(1, 0)))).toThrow(DtypeError);
});
