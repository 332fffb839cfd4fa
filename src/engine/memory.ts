/**
 * Memory of the engine: a first-fit allocator with coalescing holes over one WebAssembly memory.
 *
 * Pointers are byte offsets. A typed view is made each time it is needed, because growing the memory
 * detaches earlier views; never keep a view across an allocation. Bookkeeping lives on the JavaScript
 * side, so a kernel that writes out of bounds cannot damage it.
 */

import { EngineError } from "../errors.ts";

const PAGE = 65536;
/** Blocks start on cache lines; it is also more than any SIMD load needs. */
const ALIGNMENT = 64;
/** Bytes at the start never handed out: null pointers, the probe, and the thread pool's counters. */
export const RESERVED_BYTES = 4096;
/** Bytes behind every block, so that a kernel may read (never write) one vector past the end. */
const TAIL_BYTES = 64;

interface Hole {
  start: number;
  end: number;
}

/** Allocator and typed views over one WebAssembly.Memory. */
export class EngineMemory {
  readonly wasm: WebAssembly.Memory;
  readonly #maxBytes: number;
  /** Free ranges, ascending, never touching each other. */
  readonly #holes: Hole[];
  readonly #sizes = new Map<number, number>();

  /** Takes over `wasm`, whose maximum is `maxBytes`. */
  constructor(wasm: WebAssembly.Memory, maxBytes: number) {
    this.wasm = wasm;
    this.#maxBytes = maxBytes;
    this.#holes = [{ start: RESERVED_BYTES, end: wasm.buffer.byteLength }];
  }

  /** Bytes handed out and not yet freed. */
  get usedBytes(): number {
    let used = 0;
    for (const size of this.#sizes.values()) used += size;
    return used;
  }

  /** Bytes the memory has now. */
  get byteLength(): number {
    return this.wasm.buffer.byteLength;
  }

  /**
   * A block of at least `bytes` bytes, 64-byte aligned, contents unspecified. 0 bytes give a valid pointer.
   * @throws EngineError when `bytes` is not a size, or the memory cannot be had.
   */
  alloc(bytes: number): number {
    if (!Number.isInteger(bytes) || bytes < 0)
      throw new EngineError("memory", { bytes }, "a size is a whole number of bytes");
    const size = Math.ceil((bytes + TAIL_BYTES) / ALIGNMENT) * ALIGNMENT;
    let index = this.#holes.findIndex((hole) => hole.end - hole.start >= size);
    if (index < 0) index = this.#grow(size, bytes);
    const hole = this.#holes[index];
    if (hole === undefined) throw new EngineError("memory", { bytes }, "the free list is damaged");
    const start = hole.start;
    hole.start += size;
    if (hole.start === hole.end) this.#holes.splice(index, 1);
    this.#sizes.set(start, size);
    return start;
  }

  /**
   * Gives a block back.
   * @throws EngineError when `pointer` is not a live block.
   */
  free(pointer: number): void {
    const size = this.#sizes.get(pointer);
    if (size === undefined) throw new EngineError("memory", { pointer }, "this is not the start of a live block");
    this.#sizes.delete(pointer);
    this.#release(pointer, pointer + size);
  }

  /** Runs `body` with an allocator whose blocks are all freed when `body` returns or throws. */
  scope<T>(body: (alloc: (bytes: number) => number) => T): T {
    const blocks: number[] = [];
    try {
      return body((bytes) => {
        const pointer = this.alloc(bytes);
        blocks.push(pointer);
        return pointer;
      });
    } finally {
      for (const pointer of blocks) this.free(pointer);
    }
  }

  u8(pointer: number, length: number): Uint8Array {
    return new Uint8Array(this.wasm.buffer, pointer, length);
  }

  i8(pointer: number, length: number): Int8Array {
    return new Int8Array(this.wasm.buffer, pointer, length);
  }

  i16(pointer: number, length: number): Int16Array {
    return new Int16Array(this.wasm.buffer, pointer, length);
  }

  i32(pointer: number, length: number): Int32Array {
    return new Int32Array(this.wasm.buffer, pointer, length);
  }

  f32(pointer: number, length: number): Float32Array {
    return new Float32Array(this.wasm.buffer, pointer, length);
  }

  f64(pointer: number, length: number): Float64Array {
    return new Float64Array(this.wasm.buffer, pointer, length);
  }

  /** Grows by at least `size` bytes and returns the index of a hole that fits. */
  #grow(size: number, asked: number): number {
    const before = this.wasm.buffer.byteLength;
    const last = this.#holes.at(-1);
    const tail = last !== undefined && last.end === before ? before - last.start : 0;
    const needed = Math.ceil((size - tail) / PAGE);
    // An eighth more than needed, so that many small requests do not grow many times.
    const generous = Math.min(needed + Math.ceil(before / PAGE / 8), Math.floor((this.#maxBytes - before) / PAGE));
    if (!this.#tryGrow(Math.max(needed, generous)) && !this.#tryGrow(needed)) {
      throw new EngineError(
        "memory",
        { bytes: asked, used: this.usedBytes, limit: this.#maxBytes },
        "the engine's memory cannot grow by that much",
        "Use a smaller batch, or dispose executables that are no longer needed.",
      );
    }
    this.#release(before, this.wasm.buffer.byteLength);
    return this.#holes.length - 1;
  }

  #tryGrow(pages: number): boolean {
    if (this.wasm.buffer.byteLength + pages * PAGE > this.#maxBytes) return false;
    try {
      this.wasm.grow(pages);
      return true;
    } catch {
      return false;
    }
  }

  /** Inserts a free range in order, merging it with its neighbours. */
  #release(start: number, end: number): void {
    let index = this.#holes.findIndex((hole) => hole.start >= end);
    if (index < 0) index = this.#holes.length;
    const before = this.#holes[index - 1];
    const after = this.#holes[index];
    const joinsAfter = after !== undefined && after.start === end;
    if (before !== undefined && before.end === start) {
      before.end = joinsAfter ? after.end : end;
      if (joinsAfter) this.#holes.splice(index, 1);
    } else if (joinsAfter) {
      after.start = start;
    } else {
      this.#holes.splice(index, 0, { start, end });
    }
  }
}
