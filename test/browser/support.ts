/** Runs suites and scripts in pages of the system's Chromium, with or without cross-origin isolation and relaxed SIMD. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";
import type { PageResult } from "./page-vitest.ts";

const EXECUTABLES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Path of an installed browser, or undefined. */
export const browserPath = EXECUTABLES.find((path) => existsSync(path));

const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SHIM = fileURLToPath(new URL("page-vitest.ts", import.meta.url));
const tests = fileURLToPath(new URL("..", import.meta.url));

export interface PageMode {
  /** Whether the page is cross-origin isolated, so that memory can be shared with workers. */
  readonly isolated: boolean;
  readonly relaxedSimd: boolean;
}

/**
 * Makes a page refuse modules with relaxed SIMD, as browsers without it do. (Chromium has no switch for that.) Such a
 * module holds the bytes of some opcode 0x100 to 0x113; in the plain build no other bytes happen to look like one.
 */
function refuseRelaxedSimd(): void {
  const isRelaxed = (source: BufferSource): boolean => {
    const bytes = source instanceof ArrayBuffer ? new Uint8Array(source) : new Uint8Array(source.buffer);
    return bytes.some((byte, i) => byte === 0xfd && bytes[i + 1]! >> 5 === 4 && bytes[i + 2] === 2);
  };
  const { validate, Module } = WebAssembly;
  WebAssembly.validate = (bytes) => !isRelaxed(bytes) && validate(bytes);
  WebAssembly.Module = new Proxy(Module, {
    construct(target, [bytes]: [BufferSource]) {
      if (isRelaxed(bytes)) throw new WebAssembly.CompileError("relaxed SIMD is refused in this page");
      return new target(bytes);
    },
  });
}

/** Test files of a folder that a page can run: those that read no files. */
export function pageSuites(folder: string): string[] {
  return readdirSync(path.join(tests, folder))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => path.join(folder, name))
    .filter((file) => !readFileSync(path.join(tests, file), "utf8").includes('from "node:'));
}

async function bundle(contents: string): Promise<string> {
  const result = await build({
    stdin: { contents, resolveDir: tests, loader: "ts" },
    bundle: true, write: false, format: "esm", minify: true, keepNames: true, platform: "browser", target: "es2022",
    alias: { vitest: SHIM },
  }); // prettier-ignore
  return result.outputFiles[0]!.text;
}

/** A script that loads a module. It is used for something, because package.json says that modules may be left out. */
function loading(file: string): string {
  return `import * as loaded from "./${file}"; globalThis.loaded = loaded;`;
}

/** A page script that leaves the results of a suite in `globalThis.result`. */
function bundleSuite(file: string): Promise<string> {
  return bundle(`import { runCollected } from "vitest"; ${loading(file)} globalThis.result = runCollected();`);
}

/** A server whose page /N runs script N. */
async function serve(scripts: readonly string[], isolated: boolean): Promise<Server> {
  const server = createServer((request, response) => {
    const [, code, index] = /^\/(s?)(\d+)/.exec(request.url ?? "") ?? [];
    const type = code ? "text/javascript" : "text/html";
    response.writeHead(index === undefined ? 404 : 200, { ...(isolated && ISOLATION), "Content-Type": type });
    response.end(code ? scripts[Number(index)] : `<!doctype html><script type=module src=/s${index}></script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** What the page stores in `globalThis.result`, a promise allowed. @throws what the page throws. */
async function readPage(browser: Browser, url: string, { relaxedSimd }: PageMode): Promise<unknown> {
  const page = await browser.newPage();
  try {
    if (!relaxedSimd) await page.addInitScript(refuseRelaxedSimd);
    const failed = new Promise<never>((_, reject) => page.on("pageerror", reject));
    await page.goto(url);
    const read = page.waitForFunction("globalThis.result !== undefined").then(() => page.evaluate("globalThis.result"));
    return await Promise.race([read, failed]);
  } finally {
    await page.close();
  }
}

/** Runs scripts, each in a page of its own, in one browser; a page that fails gives its error. */
async function runPages(scripts: readonly string[], mode: PageMode): Promise<unknown[]> {
  const server = await serve(scripts, mode.isolated);
  const browser = await chromium.launch({ executablePath: browserPath!, args: FLAGS });
  try {
    const results: unknown[] = [];
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const i of scripts.keys())
      results.push(await readPage(browser, `${base}/${i}`, mode).catch((error: unknown) => error));
    return results;
  } finally {
    await browser.close();
    server.close();
  }
}

export interface SuiteResult {
  readonly file: string;
  /** The error that kept the suite from running at all. */
  readonly error: unknown;
  readonly results: readonly PageResult[];
}

/** Runs test files in pages. */
export async function runSuites(files: readonly string[], mode: PageMode): Promise<SuiteResult[]> {
  const pages = await runPages(await Promise.all(files.map(bundleSuite)), mode);
  return pages.map((results, i) => ({
    file: files[i]!,
    error: Array.isArray(results) ? null : results,
    results: Array.isArray(results) ? (results as PageResult[]) : [],
  }));
}

/** What the module at `file` leaves in `globalThis.result`. */
export async function runScript(file: string, mode: PageMode): Promise<unknown> {
  const [result] = await runPages([await bundle(loading(file))], mode);
  if (result instanceof Error) throw result;
  return result;
}
