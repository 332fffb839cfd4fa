/** Runs a bundled page script in the system's Chromium, with or without cross-origin isolation. */

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const EXECUTABLES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Path of an installed browser, or undefined. */
export const browserPath = EXECUTABLES.find((path) => existsSync(path));

const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** Bundles a module for a page, minified as users would. */
export async function bundlePage(path: URL): Promise<string> {
  const result = await build({
    entryPoints: [fileURLToPath(path)], bundle: true, write: false, format: "esm", minify: true, platform: "browser", target: "es2022",
  }); // prettier-ignore
  return result.outputFiles[0]!.text;
}

/** Loads `script`, and returns what its page stores in `globalThis.result`, a promise allowed. */
export async function runPage(script: string, isolated: boolean): Promise<unknown> {
  const server = createServer((request, response) => {
    const headers = isolated ? ISOLATION : {};
    const code = request.url === "/page.js";
    response.writeHead(200, { ...headers, "Content-Type": code ? "text/javascript" : "text/html" });
    response.end(code ? script : "<!doctype html><title>test</title><script type=module src=/page.js></script>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await chromium.launch({ executablePath: browserPath!, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    const failed = new Promise<never>((_, reject) => page.on("pageerror", reject));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const read = page.waitForFunction("globalThis.result !== undefined").then(() => page.evaluate("globalThis.result"));
    return await Promise.race([read, failed]);
  } finally {
    await browser.close();
    server.close();
  }
}
