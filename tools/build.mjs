/**
 * Builds dist/: one JavaScript file and its types for each source file (tsc), so that every subpath tree-shakes,
 * and dist/browser/: the runtime and everything as single minified files (esbuild) for pages without a bundler.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const tsc = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");

rmSync(path.join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
chmodSync(path.join(root, "dist/cli/main.js"), 0o755);
await build({
  absWorkingDir: root,
  entryPoints: { "fewbit-runtime": "src/runtime.ts", fewbit: "src/browser.ts" },
  outdir: "dist/browser",
  bundle: true,
  minify: true,
  format: "esm",
  platform: "browser",
  sourcemap: true,
  logLevel: "info",
});
