/**
 * The engine: one WebAssembly instance with its memory, and what is known about the machine.
 *
 * Everything is synchronous, so an operator can call it in the middle of an expression. Kernels take
 * byte offsets into `memory` and scalars (`kernels`, one typed function each); nothing is allocated by
 * a kernel. An engine is an ordinary object: make as many as wanted. Operators share the one that
 * `defaultEngine()` makes on first use, the only module state of this folder.
 */

import { EngineError } from "../errors.ts";
import type { KernelExports } from "./generated/exports.ts";
import { compileBuild, instantiate } from "./loader.ts";
import type { BuildName } from "./loader.ts";
import { EngineMemory } from "./memory.ts";
import { hasRelaxedSimd, hasSimd, probeDot } from "./probe.ts";
import type { DotClass } from "./probe.ts";
import { ThreadPool } from "./threads/pool.ts";
import type { Split } from "./threads/pool.ts";
import { MAX_THREADS } from "./threads/protocol.ts";
import { canShareMemory, hostThreads } from "./threads/spawn.ts";

const PAGE = 65536;
const INITIAL_PAGES = 16;
const MAX_PAGES = 65536;
/** Most pages a shared memory asks for: hosts set its address space aside at once. */
const MAX_SHARED_PAGES = 32768;
/** Multiplications and additions below which a call is not worth sharing. */
const SHARED_WORK = 1e6;
/** Where the probe puts its operands: inside the bytes no block uses. */
const PROBE_AT = 64;

export interface EngineOptions {
  /** Forces a build; by default relaxed where the host has relaxed SIMD. */
  readonly build?: BuildName;
  /** Overrides what the probe found, so that tests can run every kernel that is valid on this machine. */
  readonly dot?: DotClass;
  /**
   * Whether 3x3 float convolutions may use Winograd transforms (about 1e-6 of the largest output away from
   * direct sums, two to three times as fast). Default true.
   */
  readonly winograd?: boolean;
  /**
   * Threads to compute with, the calling one included, at most 64; default 1, "auto": one a processor. Results are the same for any number. Where
   * memory cannot be shared (a page that is not cross-origin isolated), the engine has one thread.
   */
  readonly threads?: number | "auto";
  /** Most bytes the memory may grow to; by default 4 GiB. */
  readonly maxBytes?: number;
}

/** A WebAssembly instance, its memory and its kernels. */
export class Engine {
  readonly build: BuildName;
  /** How exact the relaxed dot product is here; integer kernels are chosen by it. */
  readonly dot: DotClass;
  /** Whether float convolutions may use Winograd transforms. */
  readonly winograd: boolean;
  readonly memory: EngineMemory;
  /** The exported kernels: pointers are byte offsets into `memory`. */
  readonly kernels: KernelExports;
  readonly #pool: ThreadPool | undefined;

  /** @throws EngineError when the host has no WebAssembly SIMD or lacks the forced build. */
  constructor(options: EngineOptions = {}) {
    if (!hasSimd()) throw new EngineError("engine", {}, "this host has no WebAssembly SIMD, which the kernels need");
    this.build = options.build ?? (hasRelaxedSimd() ? "relaxed" : "simd");
    this.winograd = options.winograd ?? true;
    const threads = Math.min(MAX_THREADS, options.threads === "auto" ? hostThreads() : (options.threads ?? 1));
    const shared = threads > 1 && canShareMemory();
    const limit = shared ? MAX_SHARED_PAGES : MAX_PAGES;
    const maximum = Math.min(limit, Math.floor((options.maxBytes ?? MAX_PAGES * PAGE) / PAGE));
    const initial = Math.min(INITIAL_PAGES, maximum);
    if (initial < 1)
      throw new EngineError(
        "engine",
        { maxBytes: options.maxBytes },
        "maxBytes must be at least one page of 65536 bytes",
      );
    const module = compileBuild(this.build, shared);
    const wasm = makeMemory(initial, maximum, shared);
    this.memory = new EngineMemory(wasm, maximum * PAGE);
    this.kernels = instantiate(module, wasm);
    this.#pool = shared ? startPool(() => new ThreadPool(threads, module, wasm, { ...this.kernels })) : undefined;
    this.dot = options.dot ?? probeDot(this.kernels, new Uint8Array(wasm.buffer), PROBE_AT);
  }

  /** Threads that compute, the calling one included. */
  get threads(): number {
    return this.#pool?.threads ?? 1;
  }

  /**
   * Calls a kernel with its range (two neighbouring arguments, see Split) shared among the threads when
   * `operations` make it worth while, and returns when all is done.
   * @throws EngineError when a worker died in the middle; the engine stays usable.
   */
  share<K extends keyof KernelExports>(
    kernel: K,
    args: Parameters<KernelExports[K]>,
    split: Split,
    operations: number,
  ): void {
    const numbers: readonly number[] = args;
    const call: (...values: number[]) => unknown = this.kernels[kernel];
    if (this.#pool && operations >= SHARED_WORK) this.#pool.run(kernel, numbers, split);
    else call(...numbers);
  }

  /** Ends the worker threads; calls after that compute alone. */
  dispose(): void {
    this.#pool?.stop();
  }
}

/** @throws EngineError when the host does not give the memory. */
function makeMemory(initial: number, maximum: number, shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum, shared });
  } catch (cause) {
    throw new EngineError(
      "engine",
      { initial: initial * PAGE, maximum: maximum * PAGE, shared, reason: String(cause) },
      "this host does not give that much memory",
      "Give a smaller maxBytes.",
    );
  }
}

/** A host may refuse workers (a content policy, a limit); then there is one thread. */
function startPool(start: () => ThreadPool): ThreadPool | undefined {
  try {
    return start();
  } catch {
    return undefined;
  }
}

let shared: Engine | undefined;

/** The engine that operators use, made on first use. The one place with module state: a cache of a pure choice. */
export function defaultEngine(): Engine {
  shared ??= new Engine();
  return shared;
}
