/** Samples from arrays, folders of images and modules, and what is refused, by file and sample. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openData } from "../../../src/data/files/index.ts";
import { writeNpy, writeNpz, writeSafetensors } from "../../../src/data/index.ts";
import type { DataBatch, DataSource, InputSpec } from "../../../src/data/index.ts";
import { DataError, FewbitError } from "../../../src/errors.ts";
import { fromArray } from "../../../src/tensor/create.ts";

let folder: string;
const at = (...parts: string[]): string => path.join(folder, ...parts);
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), "fewbit-data-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const image: InputSpec = { name: "input", dtype: "float32", shape: [null, 3, 2, 2] };
const vector: InputSpec = { name: "x", dtype: "float32", shape: [null, 2] };

async function all(source: DataSource, batchSize = 2, from = 0, limit = Infinity): Promise<DataBatch[]> {
  const batches: DataBatch[] = [];
  for await (const batch of source.batches({ batchSize, from, limit })) batches.push(batch);
  return batches;
}

const count = (n: number, step = 1): number[] => Array.from({ length: n }, (_, i) => i * step);

describe("arrays", () => {
  test("8-bit NHWC images of a safetensors file become normalised NCHW", async () => {
    const pixels = fromArray(count(3 * 12, 7), [3, 2, 2, 3], "uint8");
    const labels = fromArray([2, 0, 1], [3], "uint8");
    writeFileSync(at("images.safetensors"), writeSafetensors([["images", pixels], ["labels", labels]])); // prettier-ignore
    const [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]; // prettier-ignore
    const source = await openData(at("images.safetensors"), [image], { mean, std });
    expect([source.samples, source.hasLabels]).toEqual([3, true]);
    const [first, second] = await all(source);
    expect([first!.labels, second!.labels, second!.samples]).toEqual([[2, 0], [1], 1]); // prettier-ignore
    expect(first!.inputs[0]!.shape).toEqual([2, 3, 2, 2]);
    const f = Math.fround;
    for (let c = 0; c < 3; c++)
      for (let p = 0; p < 4; p++) {
        const value = f(f(f(pixels.data[12 + p * 3 + c]! / 255) - f(mean[c]!)) / f(std[c]!));
        expect(first!.inputs[0]!.data[12 + c * 4 + p]).toBe(value);
      }
  });

  test.each([
    ["range", { range: [-1, 1] as const }, -1, 1],
    ["scale", { scale: 1 / 51 }, 0, 5],
    ["bytes as they are", { scale: 1 }, 0, 255],
  ])("%s", async (_, options, low, high) => {
    writeFileSync(at("gray.npy"), writeNpy(fromArray([0, 255], [1, 1, 2], "uint8")));
    const spec: InputSpec = { name: "x", dtype: "float32", shape: [null, 1, 1, 2] };
    const [batch] = await all(await openData(at("gray.npy"), [spec], options));
    expect([...batch!.inputs[0]!.data]).toEqual([low, high]);
  });

  test("blue comes first when asked, and channels last where the model has them there", async () => {
    writeFileSync(at("rgb.npy"), writeNpy(fromArray([1, 2, 3, 4, 5, 6], [1, 1, 2, 3], "uint8")));
    const spec: InputSpec = { name: "x", dtype: "float32", shape: [null, 1, 2, 3] };
    const [batch] = await all(await openData(at("rgb.npy"), [spec], { channels: "bgr", scale: 1, layout: "nhwc" }));
    expect([...batch!.inputs[0]!.data]).toEqual([3, 2, 1, 6, 5, 4]);
  });

  test("several inputs are found by name, and a file of labels may stand apart", async () => {
    const a = fromArray(count(6), [3, 2]);
    const b = fromArray(count(3), [3], "int64");
    writeFileSync(at("two.npz"), writeNpz([["b", b], ["a", a]])); // prettier-ignore
    writeFileSync(at("classes.npy"), writeNpy(fromArray([1, 1, 0], [3], "int64")));
    const specs: InputSpec[] = [
      { name: "a", dtype: "float32", shape: [null, 2] },
      { name: "b", dtype: "int64", shape: [null] },
    ];
    const source = await openData(at("two.npz"), specs, { labels: at("classes.npy") });
    const [batch] = await all(source, 3);
    expect(batch!.inputs.map(({ dtype }) => dtype)).toEqual(["float32", "int64"]);
    expect(batch!.labels).toEqual([1, 1, 0]);
  });

  test("rows are read from the middle, up to a limit", async () => {
    writeFileSync(at("rows.npy"), writeNpy(fromArray(count(20), [10, 2])));
    const source = await openData(at("rows.npy"), [vector]);
    const batches = await all(source, 3, 2, 7);
    expect(batches.flatMap(({ inputs }) => [...inputs[0]!.data])).toEqual(count(14).slice(4));
  });

  test("a folder of .npy files is a sample each", async () => {
    mkdirSync(at("npys"));
    for (const i of [0, 1, 2]) writeFileSync(at("npys", `${i}.npy`), writeNpy(fromArray([i, -i], [2])));
    const source = await openData(at("npys"), [vector]);
    expect(source.samples).toBe(3);
    expect((await all(source)).flatMap(({ inputs }) => [...inputs[0]!.data])).toEqual([0, -0, 1, -1, 2, -2]);
  });
});

describe("images", () => {
  const paint = (file: string, r: number, width = 2, height = 2): Promise<unknown> =>
    sharp({ create: { width, height, channels: 3, background: { r, g: 20, b: 30 } } }).toFile(file);

  beforeAll(async () => {
    for (const name of ["cat", "dog"]) mkdirSync(at("classes", name), { recursive: true });
    await Promise.all([paint(at("classes/cat/a.png"), 1), paint(at("classes/cat/b.png"), 2)]);
    await paint(at("classes/dog/a.png"), 3);
    mkdirSync(at("flat"));
    await Promise.all([paint(at("flat/x 1.png"), 5), paint(at("flat/y.png"), 6)]);
  });

  test("subfolders are classes, taken in turn", async () => {
    const source = await openData(at("classes"), [image], { scale: 1 });
    expect([source.samples, source.classNames]).toEqual([3, ["cat", "dog"]]);
    const batches = await all(source);
    expect(batches.flatMap(({ labels }) => labels)).toEqual([0, 1, 0]);
    expect([...batches[0]!.inputs[0]!.data].slice(0, 12)).toEqual([1, 1, 1, 1, 20, 20, 20, 20, 30, 30, 30, 30]);
    expect(source.sampleName(1)).toBe(at("classes/dog/a.png"));
  });

  test("a flat folder takes labels from a file", async () => {
    writeFileSync(at("labels.txt"), "name,label\nx 1.png, 4\ny.png\t7\n");
    const source = await openData(at("flat"), [image], { labels: at("labels.txt") });
    expect((await all(source))[0]!.labels).toEqual([4, 7]);
  });

  test.each([
    ["crop", { resize: "crop" as const, kernel: "nearest" as const }, [255, 255, 255, 255]],
    ["stretch", { resize: "stretch" as const, kernel: "nearest" as const }, [0, 0, 0, 0]],
    ["pad", { resize: "pad" as const }, null],
    ["middle", { shorterSide: 4, kernel: "nearest" as const }, [255, 255, 255, 255]],
  ])("%s", async (name, options, expected) => {
    // A wide picture: black, with a white square in the middle.
    const white = await sharp({ create: { width: 8, height: 8, channels: 3, background: "white" } }).png().toBuffer();
    mkdirSync(at("wide"), { recursive: true });
    await sharp({ create: { width: 32, height: 8, channels: 3, background: "black" } })
      .composite([{ input: white, left: 12, top: 0 }])
      .toFile(at("wide/w.png"));
    const spec: InputSpec = { name: "input", dtype: "float32", shape: [null, 1, 2, 2] };
    const [batch] = await all(await openData(at("wide"), [spec], { ...options, scale: 1 }));
    expect(batch!.inputs[0]!.shape).toEqual([1, 1, 2, 2]);
    if (expected) expect([...batch!.inputs[0]!.data], name).toEqual(expected);
  });

  test("a file that is no image is named", async () => {
    mkdirSync(at("broken"));
    writeFileSync(at("broken/b.png"), "not a picture");
    await expect(all(await openData(at("broken"), [image]))).rejects.toThrow(/b\.png: the image cannot be decoded/);
  });
});

describe("modules", () => {
  const write = (name: string, text: string): string => (writeFileSync(at(name), text), at(name));

  test("an async generator of plain arrays, objects by name, or with labels", async () => {
    const file = write(
      "calibration.mjs",
      `export async function* calibration() {
        yield { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
        yield { inputs: { x: { data: Float32Array.of(5, 6), shape: [2] } }, labels: [3] };
      }`,
    );
    const batches = await all(await openData(file, [vector]));
    expect(batches.map(({ samples, labels }) => [samples, labels])).toEqual([[2, null], [1, [3]]]); // prettier-ignore
    expect((await all(await openData(file, [vector]), 1, 2))[0]!.inputs[0]!.tolist()).toEqual([[5, 6]]);
  });

  test("a model with a fixed batch gets its own size", async () => {
    const file = write("list.mjs", "export default [{ data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] }];");
    const source = await openData(file, [{ ...vector, shape: [1, 2] }]);
    expect((await all(source)).map(({ inputs }) => inputs[0]!.tolist())).toEqual([[[1, 2]], [[3, 4]], [[5, 6]]]); // prettier-ignore
  });

  test.each([
    ["no-export.mjs", "export const other = 1;", /must export an iterable/],
    ["throws.mjs", "throw new Error('mine');", /does not load.*mine/],
    ["text.mjs", "export default ['a'];", /every batch must be a tensor/],
  ])("%s is refused", async (name, text, message) => {
    const file = write(name, text);
    await expect(openData(file, [vector]).then((source) => all(source))).rejects.toThrow(message);
  });
});

describe("bad data names file and sample", () => {
  test("NaN", async () => {
    const x = fromArray([0, 1, 2, 3, NaN, 5], [3, 2]);
    writeFileSync(at("nan.npy"), writeNpy(x));
    await expect(all(await openData(at("nan.npy"), [vector]), 2)).rejects.toThrow(
      /nan\.npy: the data holds a value that is not a finite number \(got sample = 2 of .*nan\.npy, input = x, value = NaN/,
    );
  });

  test("a wrong shape", async () => {
    writeFileSync(at("wrong.npy"), writeNpy(fromArray(count(6), [2, 3])));
    await expect(all(await openData(at("wrong.npy"), [vector]))).rejects.toThrow(/float32\[2,3\], expected = float32\[N,2\]/); // prettier-ignore
  });

  test("no samples", async () => {
    writeFileSync(at("empty.npy"), writeNpy(fromArray([], [0, 2])));
    await expect(all(await openData(at("empty.npy"), [vector]))).rejects.toThrow(/there is no data/);
    mkdirSync(at("nothing"));
    await expect(openData(at("nothing"), [vector])).rejects.toThrow(/there is no data/);
  });

  test("a missing file, an unknown kind, a cut file, a missing key", async () => {
    await expect(openData(at("gone.npy"), [vector])).rejects.toThrow(DataError);
    writeFileSync(at("what.bin"), "x");
    await expect(openData(at("what.bin"), [vector])).rejects.toThrow(/file of arrays, a module, or a folder/);
    writeFileSync(at("cut.npy"), writeNpy(fromArray([1, 2], [1, 2])).subarray(0, 130));
    await expect(openData(at("cut.npy"), [vector])).rejects.toThrow(/cut\.npy, npy: the file must hold exactly/);
    writeFileSync(at("named.npz"), writeNpz([["p", fromArray([1], [1])], ["q", fromArray([1], [1])]])); // prettier-ignore
    await expect(openData(at("named.npz"), [vector])).rejects.toThrow(/no array of the file has the name of this input/);
    await expect(openData(at("named.npz"), [vector], { inputKeys: "r" })).rejects.toThrow(FewbitError);
  });
});
