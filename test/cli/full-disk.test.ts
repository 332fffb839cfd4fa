/** Output on a file system that is full: one sentence, and nothing left behind. Needs leave to mount one. */

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { digits, fewbit, temporaryFolder } from "./support.ts";

const { at, remove } = temporaryFolder();
mkdirSync(at("small"));
/** Less than the quantized digits need, more than their names do. */
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", at("small")]).status === 0;
afterAll(() => {
  if (mounted) spawnSync("umount", [at("small")]);
  remove();
});

const data = ["--data", digits.data, "-n", "64", ...digits.flags, "--no-check", "--quiet"];

describe.skipIf(!mounted)("a full disk", () => {
  const outputs: readonly (readonly [what: string, flags: readonly string[]])[] = [
    ["the model", []],
    ["values beside the model", ["--external-data"]],
    ["the state of the calibration", ["--resume", at("small", "state"), "--checkpoint-every", "1"]],
  ];
  test.each(outputs)("%s", async (_, flags) => {
    writeFileSync(at("small", "old"), "still here");
    const before = readdirSync(at("small"));
    const { code, stdout, stderr } = await fewbit(["quantize", digits.model, "-o", at("small", "q.onnx"), ...data, ...flags]); // prettier-ignore
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^fewbit: .*the file could not be written: the disk is full.* Nothing was left behind\n$/);
    expect(readdirSync(at("small"))).toEqual(before);
    expect(readFileSync(at("small", "old"), "utf8")).toBe("still here");
  });
});
