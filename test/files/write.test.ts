/** Files written whole or not at all, alone and together. */

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { checkWritable, writeTogether, writeWhole } from "../../src/files/write.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(path.join(tmpdir(), "fewbit-write-"))));
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true, force: true });
});

test("writes chunks in order and leaves nothing else", () => {
  const file = path.join(folder, "out.bin");
  writeWhole(file, [Uint8Array.of(1, 2), Uint8Array.of(3)]);
  expect([...readFileSync(file)]).toEqual([1, 2, 3]);
  expect(readdirSync(folder)).toEqual(["out.bin"]);
});

test("a failure on the way keeps the old file and removes the part", () => {
  const file = path.join(folder, "out.bin");
  writeFileSync(file, "old");
  const chunks = function* (): Generator<Uint8Array> {
    yield Uint8Array.of(1);
    throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  };
  expect(() => writeWhole(file, chunks())).toThrow(/the disk is full.*Nothing was left behind/);
  expect(readFileSync(file, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["out.bin"]);
});

test("files that belong together are all written, or none", () => {
  const [one, two] = [path.join(folder, "one"), path.join(folder, "two")];
  writeTogether([one, two], ([first, second]) => {
    second!(Uint8Array.of(2));
    first!(Uint8Array.of(1));
    second!(Uint8Array.of(3));
  });
  expect([[...readFileSync(one)], [...readFileSync(two)]]).toEqual([[1], [2, 3]]);
  expect(() =>
    writeTogether([path.join(folder, "three"), path.join(folder, "four")], ([first]) => {
      first!(Uint8Array.of(1));
      mkdirSync(path.join(folder, "four")); // the second rename fails, after the first was done
    }),
  ).toThrow(/four: the file could not be written/);
  expect(readdirSync(folder).sort()).toEqual(["four", "one", "two"]);
});

test("what the maker of the bytes throws goes on as it is", () => {
  const chunks = function* (): Generator<Uint8Array> {
    yield Uint8Array.of(1);
    throw new RangeError("no such values");
  };
  expect(() => writeWhole(path.join(folder, "out.bin"), chunks())).toThrow(RangeError);
  expect(readdirSync(folder)).toEqual([]);
});

test("a folder in the way is one sentence, of the typed error", () => {
  expect(() => writeWhole(folder, new Uint8Array(1))).toThrow(DataError);
  expect(() => writeWhole(folder, new Uint8Array(1))).toThrow(/it is a folder.*Nothing was left behind/);
});

test("a missing folder is one sentence", () => {
  expect(() => writeWhole(path.join(folder, "missing/out"), new Uint8Array(1))).toThrow(/there is no such folder/);
});

test("existing files and folders in the way are refused beforehand", () => {
  const file = path.join(folder, "out.bin");
  writeFileSync(file, "old");
  expect(() => checkWritable(file)).toThrow(/exists already.*--force/);
  checkWritable(file, { force: true });
  mkdirSync(path.join(folder, "dir"));
  expect(() => checkWritable(path.join(folder, "dir"), { force: true })).toThrow(/it is a folder/);
  expect(() => checkWritable(path.join(folder, "no/where"))).toThrow(/no such folder/);
});
