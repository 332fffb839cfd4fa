/** Runs suites and scripts in pages of the system's Chromium, with or without cross-origin isolation and relaxed SIMD. */

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";
import { bundleScript, bundleSuite } from "./bundle.ts";
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
  /** What kept the suite from running at all, or nothing. */
  readonly error: string;
  readonly results: readonly PageResult[];
}

/** Runs test files in pages. */
export async function runSuites(files: readonly string[], mode: PageMode): Promise<SuiteResult[]> {
  const pages = await runPages(await Promise.all(files.map(bundleSuite)), mode);
  return pages.map((results, i) => ({
    file: files[i]!,
    error: results instanceof Error ? (results.stack ?? results.message) : "",
    results: Array.isArray(results) ? (results as PageResult[]) : [],
  }));
}

/** What the module at `file` leaves in `globalThis.result`. */
export async function runScript(file: string, mode: PageMode): Promise<unknown> {
  const [result] = await runPages([await bundleScript(file)], mode);
  if (result instanceof Error) throw result;
  return result;
}
