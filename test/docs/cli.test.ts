/** Every command that docs/cli.md and the README show runs, in the order they are shown. */

import { mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fewbit, root, temporaryFolder } from "../cli/support.ts";

const { at, remove } = temporaryFolder();
beforeAll(() => {
  mkdirSync(at("output"));
  symlinkSync(path.join(root, "data"), at("data"));
});
afterAll(remove);

/** The words of a line of shell that uses no more of it than double quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}

function commandsOf(file: string): string[][] {
  const text = readFileSync(path.join(root, file), "utf8");
  const lines = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.split("\n"));
  return lines
    .map((line) => words(line.replace(/ #.*$/, "")))
    .map((all) => (all[0] === "npx" ? all.slice(1) : all))
    .filter(([program]) => program === "fewbit")
    .map((all) => all.slice(1));
}

test.each(["docs/cli.md", "README.md"])(
  "the commands of %s run",
  async (file) => {
    const commands = commandsOf(file);
    expect(commands.length).toBeGreaterThan(2);
    rmSync(at("output"), { recursive: true });
    mkdirSync(at("output"));
    for (const args of commands) {
      const { code, stdout, stderr } = await fewbit(args, { cwd: at() });
      expect([args, code, stderr.includes("fewbit:")]).toEqual([args, 0, false]);
      expect(stdout.trim()).not.toBe("");
    }
  },
  180_000,
);
