/**
 * From inlined text to running kernels. Both builds import one memory and nothing else. The same
 * bytes serve private and shared memories: the memory's `shared` flag is one byte of the module's
 * import section, set here before compiling. Compilation is synchronous and takes milliseconds.
 */

import { EngineError } from "../errors.ts";
import type { KernelExports } from "./generated/exports.ts";
import { memoryFlagsOffset, relaxed, simd } from "./generated/modules.ts";

/** `simd`: the same bits on every machine. `relaxed`: fused multiply-add and the integer dot product. */
export type BuildName = "simd" | "relaxed";

/** Limit flags of an imported memory that has a maximum and is shared. */
const SHARED_WITH_MAXIMUM = 3;

/** What newer hosts decode hexadecimal text with. */
interface HexDecoder {
  setFromHex?(text: string): { readonly written: number };
}

function hexBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes: Uint8Array<ArrayBuffer> & HexDecoder = new Uint8Array(text.length / 2);
  const { Buffer } = globalThis as { Buffer?: { from(text: string, encoding: "hex"): Uint8Array } };
  if (bytes.setFromHex) bytes.setFromHex(text);
  else if (Buffer) bytes.set(Buffer.from(text, "hex"));
  else
    for (let i = 0; i < bytes.length; i++)
      bytes[i] = digit(text.charCodeAt(2 * i)) * 16 + digit(text.charCodeAt(2 * i + 1));
  return bytes;
}

/** Value of a lower-case hexadecimal digit's code. */
function digit(code: number): number {
  return code < 97 ? code - 48 : code - 87;
}

/** The relaxed build, which is inlined as its differences from the simd build. */
function relaxedBytes(): Uint8Array<ArrayBuffer> {
  const { own, pieces } = relaxed;
  const [base, rest] = [hexBytes(simd), hexBytes(own)];
  let size = rest.length;
  for (let i = 2; i < pieces.length; i += 3) size += pieces[i]!;
  const bytes = new Uint8Array(size);
  for (let i = 0, at = 0, used = 0, from = 0; i < pieces.length; i += 3) {
    const [count, length] = [pieces[i]!, pieces[i + 2]!];
    from += pieces[i + 1]!;
    bytes.set(rest.subarray(used, used + count), at);
    bytes.set(base.subarray(from, from + length), at + count);
    used += count;
    from += length;
    at += count + length;
  }
  return bytes;
}

/** Compiles a build for a private or a shared memory. Throws EngineError when the host refuses it. */
export function compileBuild(name: BuildName, shared: boolean): WebAssembly.Module {
  const bytes = name === "simd" ? hexBytes(simd) : relaxedBytes();
  if (shared) bytes[memoryFlagsOffset[name]] = SHARED_WITH_MAXIMUM;
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
