/**
 * Test files as single scripts for other hosts than Vitest's: pages of a browser, other versions of Node. Vitest itself
 * is replaced by page-vitest.ts.
 */

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const SHIM = fileURLToPath(new URL("page-vitest.ts", import.meta.url));
const tests = fileURLToPath(new URL("..", import.meta.url));

/** Test files of a folder that any host can run: those that read no files, and do not look for their own name in an error. */
export function portableSuites(folder: string): string[] {
  return readdirSync(path.join(tests, folder))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => path.join(folder, name))
    .filter(
      (file) => !/from "node:|[.]test[.]ts[.]/.test(readFileSync(path.join(tests, file), "utf8").replaceAll("\\", "")),
    );
}

async function bundle(contents: string): Promise<string> {
  const result = await build({
    stdin: { contents, resolveDir: tests, loader: "ts" },
    bundle: true, write: false, format: "esm", minify: true, keepNames: true, platform: "browser", target: "es2022",
    alias: { vitest: SHIM }, conditions: ["fewbit-source"],
  }); // prettier-ignore
  return result.outputFiles[0]!.text;
}

/** A script that loads a module. It is used for something, because package.json says that modules may be left out. */
function loading(file: string): string {
  return `import * as loaded from "./${file}"; globalThis.loaded = loaded;`;
}

/** A script that leaves the results of a suite in `globalThis.result`. */
export function bundleSuite(file: string): Promise<string> {
  return bundle(`import { runCollected } from "vitest"; ${loading(file)} globalThis.result = runCollected();`);
}

/** A script that loads the module at `file`, below test/. */
export function bundleScript(file: string): Promise<string> {
  return bundle(loading(file));
}
