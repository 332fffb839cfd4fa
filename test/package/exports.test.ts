import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = path.join(import.meta.dirname, "../..");
const tsc = path.join(root, "node_modules/typescript/bin/tsc");
const { exports: subpaths } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  exports: Record<string, Record<string, string>>;
};
const names = Object.keys(subpaths).map((subpath) => path.posix.join("fewbit", subpath));

/** What the package is made of besides what is built. */
const shipped = ["package.json", "README.md", "LICENSE", "data"];

let folder: string;
let packed: string[];

/** Builds beside the sources, packs that as npm would publish it, and unpacks it where an importer finds it. */
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "fewbit-package-"));
  const stage = path.join(folder, "stage");
  mkdirSync(stage);
  execFileSync(process.execPath, ["tools/build.mjs", path.join(stage, "dist")], { cwd: root, stdio: "pipe" });
  for (const name of shipped) cpSync(path.join(root, name), path.join(stage, name), { recursive: true });
  writeFileSync(path.join(stage, "not-shipped.txt"), "");
  const report = execFileSync("npm", ["pack", "--ignore-scripts", "--json"], { cwd: stage, encoding: "utf8" });
  const [{ filename, files }] = JSON.parse(report.slice(report.indexOf("["))) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = files.map((file) => file.path);
  const installed = path.join(folder, "node_modules/fewbit");
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", path.join(stage, filename), "-C", installed, "--strip-components=1"]);
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

test("the package holds what was built, the data and the licence, and nothing else", () => {
  for (const { types, node, default: file } of Object.values(subpaths))
    expect(packed).toEqual(expect.arrayContaining([types, node, file].map((name) => name!.slice(2))));
  expect(packed).toEqual(expect.arrayContaining(["README.md", "LICENSE", "package.json", "data/README.md"]));
  expect(packed.filter((file) => !/^(dist|data)\//.test(file)).sort()).toEqual([
    "LICENSE",
    "README.md",
    "package.json",
  ]);
});

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

/** What a script printed that runs where the package is installed. */
function printed(name: string, script: string, flags: readonly string[] = []): string {
  writeFileSync(path.join(folder, name), script);
  return execFileSync(process.execPath, [...flags, name], { cwd: folder, encoding: "utf8" }).trim();
}

test("what Node loads is what bundlers load: the same names under every subpath, from few files", () => {
  const namesOf = (condition: "node" | "default"): string =>
    printed(
      "names.mjs",
      Object.values(subpaths)
        .map(
          (conditions) =>
            `console.log(Object.keys(await import("./node_modules/fewbit/${conditions[condition]}")).join());`,
        )
        .join("\n"),
    );
  expect(namesOf("node")).toBe(namesOf("default"));
  expect(new Set(Object.values(subpaths).map(({ node }) => node)).size).toBe(names.length);
  const hook = `import { registerHooks } from "node:module";
let files = 0;
registerHooks?.({ load: (url, context, next) => ((files += url.startsWith("file:") ? 1 : 0), next(url, context)) });
await import("fewbit/runtime");
console.log(registerHooks ? files : 0);`;
  expect(Number(printed("files.mjs", hook))).toBeLessThan(60);
});

test("in Node, all subpaths are one library: classes are the same, and have their names", () => {
  const script = `import { Tensor, tensor } from "fewbit";
import { Conv2d, ReLU, Sequential } from "fewbit/nn";
import { capture, printGraph } from "fewbit/graph";
import { Engine } from "fewbit/engine";
import * as runtime from "fewbit/runtime";
const graph = capture(new Sequential(new Conv2d(1, 1, 1), new ReLU()), [tensor([[[[1]]]])]);
const threads = new Engine({ threads: 2 });
console.log([Tensor === runtime.Tensor, Engine === runtime.Engine, Tensor.name, Conv2d.name, threads.threads].join());
console.log(printGraph(graph.graph).includes('"0" "Conv2d" "one.mjs:6"'));
process.exit(0);`;
  expect(printed("one.mjs", script)).toBe("true,true,Tensor,Conv2d,2\ntrue");
});

test("the command line runs from the package", () => {
  const { bin, version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
    bin: { fewbit: string };
    version: string;
  };
  const file = path.join(folder, "node_modules/fewbit", bin.fewbit);
  expect(execFileSync(process.execPath, [file, "--version"], { encoding: "utf8" }).trim()).toBe(version);
  expect(execFileSync(process.execPath, [file, "help", "run"], { encoding: "utf8" })).toMatch(/Usage: fewbit run/);
});

test("an importer of every subpath type-checks against the built declarations", () => {
  const uses = names
    .map((name, i) => `import * as m${i} from "${name}";\nexport type M${i} = keyof typeof m${i};`)
    .join("\n");
  writeFileSync(
    path.join(folder, "all.ts"),
    `${uses}\nimport { tensor } from "fewbit";\nexport const y: number = tensor([1, 2]).add(1).sum().item();\n`,
  );
  expect(compiled("all.ts")).toBe("");
});

/** Type-checks a file of the importer, and emits it as a module; what tsc says. */
function compiled(file: string): string {
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const config = {
    compilerOptions: {
      strict: true,
      module: "nodenext",
      target: "es2022",
      skipLibCheck: false,
      types: [],
      lib: ["es2023", "dom"],
    },
    files: [file],
  };
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  return spawnSync(process.execPath, [tsc, "-p", "tsconfig.json"], { cwd: folder, encoding: "utf8" }).stdout;
}

/** The first Node 20 there is; the package names it as its oldest. */
function oldestNode(): string | undefined {
  const files = [process.env["NODE20"], "/usr/bin/node", "/usr/local/bin/node"].filter((file) => file !== undefined);
  return files.find((file) => spawnSync(file, ["--version"], { encoding: "utf8" }).stdout?.startsWith("v20."));
}

test("the README's page of code type-checks and runs from the package, on this Node and on Node 20 where installed", () => {
  const [, code] = /```ts\n([^]*?)```/.exec(readFileSync(path.join(root, "README.md"), "utf8"))!;
  writeFileSync(path.join(folder, "page.ts"), code!);
  expect(compiled("page.ts")).toBe("");
  const oldest = oldestNode();
  for (const node of oldest === undefined ? [process.execPath] : [process.execPath, oldest]) {
    const { status, stdout, stderr } = spawnSync(node, ["page.js"], { cwd: folder, encoding: "utf8" });
    expect(stderr).not.toMatch(/Error/);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^no mistakes found\nstage: calibrated\n/);
    expect(stdout).toMatch(/int8 .*quantizedLinear/);
    expect(stdout.trim().endsWith("[ 16, 10 ]")).toBe(true);
  }
});
