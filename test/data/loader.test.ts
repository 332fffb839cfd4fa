import { expect, test } from "vitest";
import { ArgumentError } from "../../src/errors.ts";
import { DataLoader, TensorDataset } from "../../src/data/loader.ts";
import { arange, tensor } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";

const data = new TensorDataset(arange(10), tensor(Array.from({ length: 10 }, (_, i) => [i, -i])));

test("batches follow the order and the last may be short", () => {
  const batches = [...new DataLoader(data, { batchSize: 4 })];
  expect(batches.map(([x]) => x!.tolist())).toEqual([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]); // prettier-ignore
  expect(batches[2]![1]!.tolist()).toEqual([[8, -8], [9, -9]]); // prettier-ignore
  expect([...new DataLoader(data, { batchSize: 4, dropLast: true })]).toHaveLength(2);
});

test("shuffling visits each sample once, in the same order for the same seed, anew each pass", () => {
  const pass = (loader: DataLoader): number[] => [...loader].flatMap(([x]) => [...x!.data]);
  const make = (): DataLoader => new DataLoader(data, { batchSize: 3, shuffle: true, generator: new Generator(7) });
  const loader = make();
  const first = pass(loader);
  expect(pass(make())).toEqual(first);
  expect(pass(loader)).not.toEqual(first);
  expect([...first].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a dataset of single samples is stacked", () => {
  const own = { length: 3, get: (i: number) => [tensor([i, i + 1])] };
  expect([...new DataLoader(own, { batchSize: 2 })].map(([x]) => x!.shape)).toEqual([[2, 2], [1, 2]]); // prettier-ignore
});

test("wrong arguments are refused", () => {
  expect(() => new DataLoader(data, { batchSize: 0 })).toThrow(ArgumentError);
  expect(() => new TensorDataset(arange(3), arange(4))).toThrow(/same length/);
});
