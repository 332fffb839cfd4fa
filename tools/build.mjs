/**
 * Builds the package's dist/ (or the folder named on the command line), three forms of one library:
 *
 * - one JavaScript file and its types for each source file (tsc), so that every subpath tree-shakes in a bundler;
 * - node/: every subpath and the command line over a few shared files (esbuild), which Node finds and reads several
 *   times as fast as hundreds. All of them share one set, so a class is the same whatever subpath it came by;
 * - browser/: the runtime and everything as single minified files, for pages without a bundler.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = path.resolve(root, process.argv[2] ?? "dist");
const require = createRequire(import.meta.url);
const tsc = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");
const { exports: subpaths } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

rmSync(out, { recursive: true, force: true });
execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", out], { cwd: root, stdio: "inherit" });

const common = { absWorkingDir: root, bundle: true, format: "esm", logLevel: "warning" };
await build({
  ...common,
  entryPoints: [...Object.values(subpaths).map((conditions) => conditions["fewbit-source"]), "src/cli/main.ts"],
  outbase: "src",
  outdir: path.join(out, "node"),
  splitting: true,
  platform: "node",
  target: "node20",
  packages: "external",
  // Graphs say the class names of modules.
  keepNames: true,
});
chmodSync(path.join(out, "node/cli/main.js"), 0o755);

await build({
  ...common,
  entryPoints: { "fewbit-runtime": "src/runtime.ts", fewbit: "src/browser.ts" },
  outdir: path.join(out, "browser"),
  minify: true,
  platform: "browser",
  sourcemap: true,
});
