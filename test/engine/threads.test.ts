import { afterAll, describe, expect, test } from "vitest";
import { convNdBackwardInputF32, convNdBackwardWeightF32, convNdF32 } from "../../src/engine/eager/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { compileBuild, instantiate } from "../../src/engine/loader.ts";
import { ThreadPool } from "../../src/engine/threads/pool.ts";
import {
  CHUNK_BITS,
  MAX_CHUNKS,
  TICKETS_AT,
  chunkStart,
  claimable,
  shareStart,
} from "../../src/engine/threads/protocol.ts";
import { canShareMemory } from "../../src/engine/threads/spawn.ts";
import { EngineError } from "../../src/errors.ts";
import { floats } from "../kernels/support.ts";

/** Enough that the engine finds every call worth sharing. */
const MUCH = 1e9;
/** How long a busy machine may take to run a worker at all. */
const WAIT_MS = 20_000;
const SPLIT = { at: 0, unit: 6 } as const;

/** A page starts its workers only while the main thread is idle. */
async function waitForWorkers(pool: ThreadPool): Promise<void> {
  const until = performance.now() + WAIT_MS;
  while (pool.ready < pool.threads - 1 && performance.now() < until) await new Promise((done) => setTimeout(done, 1));
}

/** rows x 40 = [rows x 30] [30 x 40], shared. */
function product(engine: Engine, rows: number): Float32Array {
  const [k, n] = [30, 40];
  const { memory, kernels } = engine;
  return memory.scope((alloc) => {
    const put = (values: Float32Array): number => {
      const at = alloc(values.byteLength);
      memory.f32(at, values.length).set(values);
      return at;
    };
    const [x, w, init, y] = [put(floats(rows * k, 1)), put(floats(k * n, 2)), put(floats(n, 3)), alloc(rows * n * 4)];
    const [table, out, taps] = [alloc(rows * 4), alloc(rows * 4), put(new Float32Array(1))];
    kernels.layout_grid(table, 0, 1, 0, 1, 0, 1, 0, rows, k * 4);
    kernels.layout_grid(out, 0, 1, 0, 1, 0, 1, 0, rows, n * 4);
    memory.f32(y, rows * n).fill(NaN);
    const args = [0, rows, table, out, x, 1, taps, k, w, k * 32, init, 0, y, n, -Infinity, Infinity, 6] as const;
    engine.share("f32_gemm_6x8", [...args], SPLIT, MUCH);
    return memory.f32(y, rows * n).slice();
  });
}

test("chunks cover a range without gaps, in whole units", () => {
  for (const [chunks, start, end, unit] of [
    [4, 0, 100, 6],
    [3, 5, 18, 4],
    [1, 0, 1, 6],
    [7, 0, 7, 1],
  ] as const) {
    expect(chunkStart(0, chunks, start, end, unit)).toBe(start);
    expect(chunkStart(chunks, chunks, start, end, unit)).toBe(end);
    for (let i = 0; i < chunks; i++) expect((chunkStart(i, chunks, start, end, unit) - start) % unit).toBe(0);
  }
});

test("shares cover all chunks, one behind the other", () => {
  for (const [threads, chunks] of [
    [2, 8],
    [3, 8],
    [3, 2],
    [1, 5],
  ] as const) {
    const starts = Array.from({ length: threads + 1 }, (_, thread) => shareStart(thread, threads, chunks));
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect([starts[0], starts[threads]]).toEqual([0, chunks]);
  }
});

test("a thread claims from its own share before it helps with others", () => {
  const tickets = Int32Array.from([0, 0, 0]);
  const shares = (): number[] => [0, 1, 2].map((id) => claimable(tickets, id, MAX_CHUNKS));
  expect(shares()).toEqual([-1, -1, -1]);
  tickets.set([0, 2, 1].map((left) => (5 << CHUNK_BITS) | left));
  expect(shares()).toEqual([1, 1, 2]);
  tickets[1] = 5 << CHUNK_BITS;
  expect(shares()).toEqual([2, 2, 2]);
});

describe.runIf(canShareMemory())("threads", () => {
  const one = new Engine();
  const engines = [2, 3].map((threads) => new Engine({ threads }));
  afterAll(() => {
    for (const engine of engines) engine.dispose();
  });

  test("the same bits for any number of threads", () => {
    for (const engine of engines) {
      for (const rows of [1, 6, 7, 100, 1001]) expect(product(engine, rows)).toEqual(product(one, rows));
      for (let i = 0; i < 300; i++) product(engine, 61);
      expect(product(engine, 61)).toEqual(product(one, 61));
    }
  });

  test.each([false, true])("convolutions and their gradients, winograd: %s", (winograd) => {
    const shape = {
      batch: 2,
      inChannels: 16,
      outChannels: 24,
      groups: 1,
      size: [17, 15],
      kernel: [3, 3],
      stride: [1, 1],
      padding: [1, 1],
      dilation: [1, 1],
    };
    const [x, w, dy] = [floats(2 * 16 * 255, 1), floats(24 * 16 * 9, 2), floats(2 * 24 * 255, 3)];
    const [alone, both] = [new Engine({ winograd }), new Engine({ winograd, threads: 2 })];
    expect(convNdF32(x, w, null, shape, both)).toEqual(convNdF32(x, w, null, shape, alone));
    expect(convNdBackwardInputF32(dy, w, shape, both)).toEqual(convNdBackwardInputF32(dy, w, shape, alone));
    expect(convNdBackwardWeightF32(dy, x, shape, both)).toEqual(convNdBackwardWeightF32(dy, x, shape, alone));
    both.dispose();
  });

  test("memory may grow while workers sleep", () => {
    const engine = engines[0]!;
    const block = engine.memory.alloc(20_000_000);
    expect(product(engine, 500)).toEqual(product(one, 500));
    engine.memory.free(block);
  });

  test("an engine whose workers were ended computes alone", () => {
    const engine = new Engine({ threads: 2 });
    engine.dispose();
    expect(product(engine, 50)).toEqual(product(one, 50));
  });

  /** A pool over its own memory whose main thread runs `body` before the kernel proper. */
  function poolWith(body: (tickets: Int32Array) => void): { pool: ThreadPool; y: Float32Array } {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const module = compileBuild("simd", true);
    const kernels = instantiate(module, memory);
    const tickets = new Int32Array(memory.buffer, TICKETS_AT, 2);
    const calls = Object.fromEntries(
      Object.entries(kernels).map(([name, kernel]) => [
        name,
        (...args: number[]) => {
          body(tickets);
          (kernel as (...args: number[]) => unknown)(...args);
        },
      ]),
    );
    return { pool: new ThreadPool(2, module, memory, calls, 300), y: new Float32Array(memory.buffer, 8192, 64) };
  }

  /** Clamps 64 lines of one float from zeros at 12288. */
  const CLAMP = [0, 64, 16384, 16384, 12288, 8192, 1, 1, 2] as const;

  test("workers really take chunks", async () => {
    const { pool } = poolWith((tickets) => {
      const until = performance.now() + WAIT_MS;
      while (claimable(tickets, 0, MAX_CHUNKS) >= 0 && performance.now() < until);
    });
    await waitForWorkers(pool);
    expect(pool.ready).toBe(1);
    const started = performance.now();
    pool.run("f32_clamp", CLAMP, { at: 0, unit: 1 });
    pool.stop();
    expect(performance.now() - started).toBeLessThan(WAIT_MS);
  });

  test("a worker that dies in a chunk is an error, not a hang, and the pool works again", () => {
    let stolen = false;
    const { pool, y } = poolWith((tickets) => {
      // Claim a chunk as a worker would, and never do it.
      const share = claimable(tickets, 1, MAX_CHUNKS);
      if (!stolen && share >= 0) {
        Atomics.sub(tickets, share, 1);
        stolen = true;
      }
    });
    expect(() => {
      while (!stolen) pool.run("f32_clamp", CLAMP, { at: 0, unit: 1 });
    }).toThrow(EngineError);
    pool.run("f32_clamp", CLAMP, { at: 0, unit: 1 });
    expect(y[0]).toBe(1);
    pool.stop();
  });

  test("a kernel that leaves the memory is an error", () => {
    const { pool } = poolWith(() => undefined);
    expect(() => {
      pool.run("f32_clamp", [0, 64, 16384, 16384, 12288, 70000, 1, 1, 2], { at: 0, unit: 1 });
    }).toThrow(/memory/);
    pool.stop();
  });
});
