import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkWritable, writeWhole } from "../../../src/data/files/index.ts";

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
