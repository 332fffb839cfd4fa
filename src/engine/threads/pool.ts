/**
 * Workers over the engine's shared memory, and the main thread's side of sharing a kernel call with them.
 * Calls stay synchronous. Nothing waits for a worker to wake: the main thread starts at once and takes
 * whatever chunks are left.
 */

import { EngineError } from "../../errors.ts";
import {
  ARGUMENTS_AT,
  CHUNK_BITS,
  CONTROL_AT,
  CONTROL_WORDS,
  MAX_ARGUMENTS,
  MAX_CHUNKS,
  TICKETS_AT,
  WORD,
  chunkStart,
  claimable,
  shareStart,
} from "./protocol.ts";
import { startWorker } from "./spawn.ts";
import type { RunningWorker } from "./spawn.ts";

/** Chunks per thread: more even out uneven speeds, fewer cost less. */
const CHUNKS_PER_THREAD = 4;
/**
 * A claimed chunk may take this many times longer than the main thread's longest, plus some seconds (a busy machine may
 * not run a thread for that long), before its worker counts as dead.
 */
const PATIENCE = 50;
const PATIENCE_MS = 5000;
/** The main thread's number among the threads. */
const MAIN = 0;
/** Jobs are numbered in the bits of a ticket that chunks leave. */
const JOB_MASK = 0x3fffff;
/** Turns of waiting between looks at the clock. */
const TURNS = 4096;

/** How a kernel's range is shared. */
export interface Split {
  /** Position of the range's start among the arguments; its end follows. */
  readonly at: number;
  /** Chunks are whole multiples of this: rows of a tile. */
  readonly unit: number;
  /** Arguments that must differ by thread: `at` is moved on by `bytes` for each; there is room for all. */
  readonly scratch?: { readonly at: number; readonly bytes: number };
}

type Kernel = (...args: number[]) => unknown;

export class ThreadPool {
  readonly threads: number;
  private readonly control: Int32Array;
  private readonly tickets: Int32Array;
  private readonly values: Float64Array;
  private readonly start: () => RunningWorker[];
  /** What workers know kernels by. */
  private readonly indices: ReadonlyMap<string, number>;
  private readonly kernels: Readonly<Record<string, Kernel>>;
  private workers: RunningWorker[];
  private readonly patience: number;
  private job = 0;

  /** Starts `threads` - 1 workers; `patience` in milliseconds, see PATIENCE_MS. @throws what the host throws when it cannot start them. */
  constructor(
    threads: number,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    kernels: Readonly<Record<string, Kernel>>,
    patience = PATIENCE_MS,
  ) {
    this.patience = patience;
    this.threads = threads;
    this.control = new Int32Array(memory.buffer, CONTROL_AT, CONTROL_WORDS);
    this.tickets = new Int32Array(memory.buffer, TICKETS_AT, threads);
    this.values = new Float64Array(memory.buffer, ARGUMENTS_AT, MAX_ARGUMENTS);
    this.kernels = kernels;
    const names = Object.keys(kernels);
    this.indices = new Map(names.map((name, index) => [name, index]));
    this.start = () => {
      const generation = Atomics.load(this.control, WORD.generation);
      return Array.from({ length: threads - 1 }, (_, i) =>
        startWorker({ module, memory, names, id: i + 1, threads, generation }),
      );
    };
    this.workers = this.start();
  }

  /** Workers that have started and listen. */
  get ready(): number {
    return Atomics.load(this.control, WORD.ready);
  }

  /**
   * Runs `name(...args)` with its range shared among the threads, and returns when all of it is done.
   * @throws EngineError when a chunk failed, or a worker died in the middle of one; the pool is then started anew.
   */
  run(name: string, args: readonly number[], split: Split): void {
    const [start, end] = [args[split.at]!, args[split.at + 1]!];
    const chunks = Math.min(this.threads * CHUNKS_PER_THREAD, Math.ceil((end - start) / split.unit), MAX_CHUNKS);
    const kernel = this.kernels[name]!;
    if (chunks <= 1 || args.length > MAX_ARGUMENTS) {
      kernel(...args);
      return;
    }
    this.publish(name, args, split, chunks);
    const longest = this.takeChunks(kernel, args, split, chunks);
    this.finish(name, chunks, longest);
  }

  /** Ends the workers. */
  stop(): void {
    Atomics.add(this.control, WORD.generation, 1);
    Atomics.add(this.control, WORD.wake, 1);
    Atomics.notify(this.control, WORD.wake);
    for (const worker of this.workers) worker.terminate();
    this.workers = [];
  }

  private publish(name: string, args: readonly number[], split: Split, chunks: number): void {
    const { control } = this;
    this.values.set(args);
    control[WORD.kernel] = this.indices.get(name)!;
    control[WORD.count] = args.length;
    control[WORD.chunks] = chunks;
    control[WORD.rangeAt] = split.at;
    control[WORD.unit] = split.unit;
    control[WORD.scratchAt] = split.scratch?.at ?? -1;
    control[WORD.scratchBytes] = split.scratch?.bytes ?? 0;
    Atomics.store(control, WORD.done, 0);
    Atomics.store(control, WORD.failed, 0);
    this.job = (this.job + 1) & JOB_MASK;
    for (let thread = 0; thread < this.threads; thread++) {
      const count = shareStart(thread + 1, this.threads, chunks) - shareStart(thread, this.threads, chunks);
      Atomics.store(this.tickets, thread, (this.job << CHUNK_BITS) | count);
    }
    Atomics.add(control, WORD.wake, 1);
    if (Atomics.load(control, WORD.sleepers) !== 0) Atomics.notify(control, WORD.wake);
  }

  /** Works on chunks until none is unclaimed; returns the longest time of one, in milliseconds. */
  private takeChunks(kernel: Kernel, args: readonly number[], split: Split, chunks: number): number {
    const { control, tickets } = this;
    const mine = [...args];
    const [start, end] = [args[split.at]!, args[split.at + 1]!];
    let longest = 0;
    for (;;) {
      const share = claimable(tickets, MAIN, MAX_CHUNKS);
      if (share < 0) return longest;
      const ticket = Atomics.load(tickets, share);
      const left = ticket & MAX_CHUNKS;
      if (left === 0 || Atomics.compareExchange(tickets, share, ticket, ticket - 1) !== ticket) continue;
      const chunk = shareStart(share + 1, this.threads, chunks) - left;
      mine[split.at] = chunkStart(chunk, chunks, start, end, split.unit);
      mine[split.at + 1] = chunkStart(chunk + 1, chunks, start, end, split.unit);
      const before = performance.now();
      try {
        kernel(...mine);
      } catch {
        Atomics.add(control, WORD.failed, 1);
      }
      longest = Math.max(longest, performance.now() - before);
      Atomics.add(control, WORD.done, 1);
    }
  }

  /** Waits for chunks that workers are still at. The main thread of a page may not sleep, so it spins. */
  private finish(name: string, chunks: number, longest: number): void {
    const { control } = this;
    const deadline = performance.now() + this.patience + PATIENCE * longest;
    for (let turn = 1; Atomics.load(control, WORD.done) < chunks; turn++) {
      if (turn % TURNS !== 0 || performance.now() < deadline) continue;
      this.restart();
      throw new EngineError(
        "threads",
        { kernel: name, threads: this.threads },
        "a worker died in the middle of a kernel; its results are lost",
      );
    }
    if (Atomics.load(control, WORD.failed) > 0)
      throw new EngineError("threads", { kernel: name }, "the kernel failed: an address lies outside of the memory");
  }

  private restart(): void {
    this.stop();
    for (let thread = 0; thread < this.threads; thread++) Atomics.store(this.tickets, thread, 0);
    this.workers = this.start();
  }
}
