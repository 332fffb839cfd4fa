/**
 * From inlined text to running kernels. Both builds import one memory and nothing else. The same
 * bytes serve private and shared memories: the memory's `shared` flag is one byte of the module's
 * import section, set here before compiling. Compilation is synchronous and takes milliseconds.
 */

import { EngineError } from "../errors.ts";
import type { KernelExports } from "./generated/exports.ts";
import * as relaxed from "./generated/relaxed.ts";
import * as simd from "./generated/simd.ts";

/** `simd`: the same bits on every machine. `relaxed`: fused multiply-add and the integer dot product. */
export type BuildName = "simd" | "relaxed";

/** Limit flags of an imported memory that has a maximum and is shared. */
const SHARED_WITH_MAXIMUM = 3;

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Compiles a build for a private or a shared memory. Throws EngineError when the host refuses it. */
export function compileBuild(name: BuildName, shared: boolean): WebAssembly.Module {
  const source = name === "simd" ? simd : relaxed;
  const bytes = decodeBase64(source.base64);
  if (shared) bytes[source.memoryFlagsOffset] = SHARED_WITH_MAXIMUM;
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw new EngineError("engine", { build: name, reason: String(cause) }, "this host cannot compile the kernels");
  }
}

function isKernelExports(exports: object): exports is KernelExports {
  return "probe_relaxed_dot" in exports;
}

/** Instantiates a compiled build over `memory`. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): KernelExports {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  if (!isKernelExports(exports))
    throw new EngineError("engine", {}, "the compiled kernels have no exports", "Run `npm run build:kernels`.");
  return exports;
}
