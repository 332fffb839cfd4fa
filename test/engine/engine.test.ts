import { describe, expect, test } from "vitest";
import { Engine, defaultEngine } from "../../src/engine/engine.ts";
import { compileBuild, instantiate } from "../../src/engine/loader.ts";
import { EngineMemory, RESERVED_BYTES } from "../../src/engine/memory.ts";
import { hasRelaxedSimd, probeDot } from "../../src/engine/probe.ts";
import { EngineError } from "../../src/errors.ts";

const DOT_CLASSES = ["u8-exact", "signed", "saturating", "unusable"];

describe("engine", () => {
  test("the simd build works everywhere and has no dot product", () => {
    const engine = new Engine({ build: "simd" });
    expect(engine.dot).toBe("unusable");
    const at = engine.memory.alloc(12);
    engine.kernels.fill_f32(at, 1.5, 3);
    expect([...engine.memory.f32(at, 3)]).toEqual([1.5, 1.5, 1.5]);
  });

  test.runIf(hasRelaxedSimd())("the relaxed build is preferred where it exists, and is probed", () => {
    const engine = new Engine();
    expect(engine.build).toBe("relaxed");
    expect(DOT_CLASSES).toContain(engine.dot);
  });

  test("a forced dot class is kept", () => {
    expect(new Engine({ dot: "saturating" }).dot).toBe("saturating");
  });

  test("the default engine is made once", () => {
    expect(defaultEngine()).toBe(defaultEngine());
  });

  test("the same bytes serve a shared memory", () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 16, shared: true });
    const kernels = instantiate(compileBuild("simd", true), memory);
    kernels.fill_f32(64, 2, 5);
    expect([...new Float32Array(memory.buffer, 64, 6)]).toEqual([2, 2, 2, 2, 2, 0]);
  });
});

describe("probe", () => {
  /** A machine that reads activations with `read` and limits pair sums to `limit`. */
  const machine = (read: (x: number) => number, limit: number, factor = 1) => {
    const bytes = new Uint8Array(64);
    const kernels = new Engine({ build: "simd" }).kernels;
    const fake = {
      ...kernels,
      probe_relaxed_dot: (p: number): number => {
        const weight = new Int8Array(bytes.buffer)[p] ?? 0;
        const pair = 2 * weight * read(bytes[p + 16] ?? 0);
        return 2 * factor * Math.max(-limit - 1, Math.min(limit, pair));
      },
    };
    return probeDot(fake, bytes, 0);
  };
  const unsigned = (x: number): number => x;
  const signed = (x: number): number => (x << 24) >> 24;

  test("names the four kinds of machine", () => {
    expect(machine(unsigned, Infinity)).toBe("u8-exact");
    expect(machine(signed, Infinity)).toBe("signed");
    expect(machine(unsigned, 32767)).toBe("saturating");
    expect(machine(unsigned, Infinity, 2)).toBe("unusable"); // Node 20 with its flag doubles the sum
  });
});

describe("memory", () => {
  const make = (pages = 1, maximum = 64): EngineMemory =>
    new EngineMemory(new WebAssembly.Memory({ initial: pages, maximum }), maximum * 65536);

  test("blocks are aligned, disjoint, and reused after free", () => {
    const memory = make();
    const a = memory.alloc(100);
    const b = memory.alloc(0);
    const c = memory.alloc(1);
    expect(a).toBeGreaterThanOrEqual(RESERVED_BYTES);
    for (const pointer of [a, b, c]) expect(pointer % 64).toBe(0);
    expect(new Set([a, b, c]).size).toBe(3);
    memory.free(b);
    memory.free(a);
    expect(memory.alloc(190)).toBe(a);
  });

  test("freeing everything leaves one hole", () => {
    const memory = make();
    const blocks = Array.from({ length: 20 }, (_, i) => memory.alloc(i * 50));
    for (const i of [3, 1, 2, 0, 19, 17, 18, 4, 5, 6, 16, 7, 15, 8, 9, 14, 10, 13, 11, 12]) memory.free(blocks[i] ?? 0);
    expect(memory.usedBytes).toBe(0);
    expect(memory.alloc(60000)).toBe(RESERVED_BYTES);
  });

  test("grows when needed and keeps contents", () => {
    const memory = make();
    const a = memory.alloc(8);
    memory.f32(a, 2).set([1, 2]);
    const b = memory.alloc(1_000_000);
    memory.u8(b, 1_000_000).fill(7);
    expect([...memory.f32(a, 2)]).toEqual([1, 2]);
  });

  test("a scope frees on return and on error", () => {
    const memory = make();
    expect(memory.scope((alloc) => alloc(10) > 0)).toBe(true);
    expect(() =>
      memory.scope((alloc) => {
        alloc(10);
        throw new RangeError("stop");
      }),
    ).toThrow(RangeError);
    expect(memory.usedBytes).toBe(0);
  });

  test("says so when memory cannot be had", () => {
    const memory = make(1, 2);
    expect(() => memory.alloc(200_000)).toThrow(EngineError);
    expect(() => memory.alloc(-1)).toThrow(EngineError);
    expect(() => memory.alloc(1.5)).toThrow(EngineError);
    expect(() => {
      memory.free(12345);
    }).toThrow(EngineError);
    expect(memory.alloc(100)).toBe(RESERVED_BYTES);
  });
});
