import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");
const tsc = path.join(root, "node_modules/typescript/bin/tsc");
const { exports: subpaths } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  exports: Record<string, Record<string, string>>;
};
const names = Object.keys(subpaths).map((subpath) => path.posix.join("fewbit", subpath));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "fewbit-package-"));
  const installed = path.join(folder, "node_modules/fewbit");
  mkdirSync(installed, { recursive: true });
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", path.join(installed, "dist")], {
    cwd: root,
    stdio: "pipe",
  });
  writeFileSync(path.join(installed, "package.json"), readFileSync(path.join(root, "package.json")));
  // Dependencies as npm would install them beside the package.
  const { dependencies = {} } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(path.dirname(path.join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(path.join(root, "node_modules", name), path.join(folder, "node_modules", name));
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("every subpath of the built package loads in plain Node", () => {
  const script = `${names.map((name, i) => `import * as m${i} from "${name}";`).join("\n")}\nconsole.log([${names.map((_, i) => `Object.keys(m${i}).length`).join(",")}].join());`;
  writeFileSync(path.join(folder, "all.mjs"), script);
  const counts = execFileSync(process.execPath, ["all.mjs"], { cwd: folder, encoding: "utf8" })
    .trim()
    .split(",")
    .map(Number);
  expect(counts).toHaveLength(names.length);
  for (const count of counts) expect(count).toBeGreaterThan(0);
});

test("an importer of every subpath type-checks against the built declarations", () => {
  const uses = names
    .map((name, i) => `import * as m${i} from "${name}";\nexport type M${i} = keyof typeof m${i};`)
    .join("\n");
  writeFileSync(
    path.join(folder, "all.ts"),
    `${uses}\nimport { tensor } from "fewbit";\nexport const y: number = tensor([1, 2]).add(1).sum().item();\n`,
  );
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const config = {
    compilerOptions: {
      strict: true,
      module: "nodenext",
      target: "es2022",
      noEmit: true,
      skipLibCheck: false,
      types: [],
      lib: ["es2023", "dom"],
    },
    files: ["all.ts"],
  };
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.json"], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(stdout).toBe("");
  expect(status).toBe(0);
});
