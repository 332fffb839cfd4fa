/** Runs the command line as a user does: another process. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";

export const root = path.join(import.meta.dirname, "../..");
const source = path.join(root, "src/cli/main.ts");

/**
 * The program in one file: it starts several times as fast as from its hundreds of sources. It lies in the repository,
 * where it finds the packages it needs.
 */
let bundle: Promise<string> | undefined;
async function bundled(): Promise<string> {
  const outdir = path.join(root, "output", `cli-${process.pid}`);
  await build({
    entryPoints: [source],
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    packages: "external",
    logLevel: "error",
  });
  process.on("exit", () => rmSync(outdir, { recursive: true, force: true }));
  return path.join(outdir, "main.js");
}

export const digits = {
  model: path.join(root, "data/digits.onnx"),
  data: path.join(root, "data/digits.safetensors"),
  /** Pixels 0..16 as the network was trained: x / 8 - 1. */
  flags: ["--scale", "1/16", "--mean", "0.5", "--std", "0.5"],
};

export interface Outcome {
  readonly code: number | null;
  /** What ended it, when that was a signal. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs the sources themselves, for programs that import this library: there must be one of it. */
  readonly fromSource?: boolean;
  /** Asked every few milliseconds; the process is killed the moment it says yes. */
  readonly killWhen?: () => boolean;
}

/** `fewbit ...args`. */
export async function fewbit(
  args: readonly string[],
  { cwd = root, env = {}, fromSource = false, killWhen }: RunOptions = {},
): Promise<Outcome> {
  const program = fromSource ? ["--conditions=fewbit-source", source] : [await (bundle ??= bundled())];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...program, ...args], {
      cwd,
      env: { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const watch = setInterval(() => killWhen?.() && child.kill("SIGKILL"), 5);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearInterval(watch);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** The JSON a command printed. */
export function json<T>({ stdout }: Outcome): T {
  return JSON.parse(stdout) as T;
}

/** A folder of its own for a test file. */
export function temporaryFolder(): { readonly at: (...parts: string[]) => string; readonly remove: () => void } {
  const folder = mkdtempSync(path.join(tmpdir(), "fewbit-cli-"));
  return {
    at: (...parts) => path.join(folder, ...parts),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
