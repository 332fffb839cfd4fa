/**
 * The environment in which a native peer sees a processor without AVX-512 and AMX (hide-avx512.c, which says how). The bars
 * against native code were set on such a processor; WebAssembly has 128-bit vectors on either.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { MODEL_FOLDER } from "./candidate.ts";

const SOURCE = fileURLToPath(new URL("hide-avx512.c", import.meta.url));

export type Hidden = { readonly environment: NodeJS.ProcessEnv } | { readonly reason: string };

let known: Hidden | undefined;

function build(): Hidden {
  if (process.platform !== "linux" || process.arch !== "x64")
    return { reason: "AVX-512 can be hidden on Linux, x86-64, only" };
  const library = path.resolve(MODEL_FOLDER, "hide-avx512.so");
  mkdirSync(MODEL_FOLDER, { recursive: true });
  try {
    execFileSync("cc", ["-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], { stdio: "pipe" });
    // The program's own check: it ends the process where CPUID cannot be made to fault.
    execFileSync(process.execPath, ["--version"], { stdio: "pipe", env: { ...process.env, LD_PRELOAD: library } });
  } catch (error) {
    const { message } = error as Error;
    return { reason: `AVX-512 cannot be hidden here: ${message.split("\n")[0]}` };
  }
  return { environment: { ...process.env, LD_PRELOAD: library } };
}

/** Built once a process. `reason` says why it cannot be done: another system, no C compiler, a processor that cannot. */
export function withoutAvx512(): Hidden {
  return (known ??= build());
}
