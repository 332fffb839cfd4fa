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

/** Writes the bytes of hexadecimal text at `at`; returns where they end. */
function writeHex(bytes: Uint8Array, at: number, text: string): number {
  const rest: Uint8Array & HexDecoder = bytes.subarray(at, at + text.length / 2);
  if (rest.setFromHex) return at + rest.setFromHex(text).written;
  const { Buffer } = globalThis as { Buffer?: { from(text: string, encoding: "hex"): Uint8Array } };
  if (Buffer) {
    bytes.set(Buffer.from(text, "hex"), at);
    return at + rest.length;
  }
  for (let i = 0; i < text.length; i += 2) bytes[at++] = digit(text.charCodeAt(i)) * 16 + digit(text.charCodeAt(i + 1));
  return at;
}

/** Value of a lower-case hexadecimal digit's code. */
function digit(code: number): number {
  return code < 97 ? code - 48 : code - 87;
}

function simdBytes(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(simd.length / 2);
  writeHex(bytes, 0, simd);
  return bytes;
}

/** The relaxed build is inlined as its differences from the simd build. */
function relaxedBytes(): Uint8Array<ArrayBuffer> {
  const base = simdBytes();
  const sizes = relaxed.map((piece) => (typeof piece === "string" ? piece.length / 2 : piece[1]!));
  const bytes = new Uint8Array(sizes.reduce((a, b) => a + b, 0));
  let at = 0;
  for (const piece of relaxed) {
    if (typeof piece === "string") {
      at = writeHex(bytes, at, piece);
    } else {
      bytes.set(base.subarray(piece[0], piece[0]! + piece[1]!), at);
      at += piece[1]!;
    }
  }
  return bytes;
}

/** Compiles a build for a private or a shared memory. Throws EngineError when the host refuses it. */
export function compileBuild(name: BuildName, shared: boolean): WebAssembly.Module {
  const bytes = name === "simd" ? simdBytes() : relaxedBytes();
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
