/**
 * The dot-product kernels on machines this test may not run on: the sources are compiled with the relaxed
 * instruction replaced by plain SIMD that computes what each class of machine computes, so that
 * full-range operands are compared with the reference everywhere. A wrong emulation would show in the
 * first test, which asks the engine's own probe. The other relaxed instructions stay, so the host must have them.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { beforeAll, describe, expect, it } from "vitest";
import type { KernelExports } from "../../src/engine/generated/exports.ts";
import { instantiate } from "../../src/engine/loader.ts";
import { EngineMemory } from "../../src/engine/memory.ts";
import { hasRelaxedSimd, probeDot } from "../../src/engine/probe.ts";
import type { DotClass } from "../../src/kernels/qgemm/variant.ts";
import { compareConv } from "./conv-cases.ts";
import { compareDepthwise } from "./depthwise-cases.ts";
import { compareGemm } from "./gemm-cases.ts";
import type { Host } from "./gemm-cases.ts";

const SOURCES = [
  "probe/probe",
  "qgemm/qgemm",
  "qgemm/qgemv",
  "qdepthwise/taps",
  "qdepthwise/rows",
  "qdepthwise/strided",
];
const ROOT = fileURLToPath(new URL("../../src/kernels/", import.meta.url));
const PAGES = 256;

/** acc + four exact products a lane, activations extended by `extend`. */
function emulation(extend: "u" | "s"): string {
  return `
function emulatedDot(w: v128, x: v128, acc: v128): v128 {
  const low = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(w), i16x8.extend_low_i8x16_${extend}(x));
  const high = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(w), i16x8.extend_high_i8x16_${extend}(x));
  return i32x4.add(acc, i32x4.add(i32x4.shuffle(low, high, 0, 2, 4, 6), i32x4.shuffle(low, high, 1, 3, 5, 7)));
}
`;
}

async function emulate(extend: "u" | "s"): Promise<Host> {
  let binary: Uint8Array | undefined;
  const { error } = await asc.main(
    [
      ...SOURCES.map((name) => `${name}.as.ts`),
      "--outFile",
      "out.wasm",
      "-O1",
      "--noAssert",
      "--runtime",
      "stub",
      "--importMemory",
      "--enable",
      "simd",
      "--enable",
      "relaxed-simd",
    ],
    {
      readFile(name) {
        try {
          const text = readFileSync(ROOT + name, "utf8");
          const replaced = text.replaceAll("i32x4.relaxed_dot_i8x16_i7x16_add_s", "emulatedDot");
          return replaced === text ? text : replaced + emulation(extend);
        } catch {
          return null;
        }
      },
      writeFile(_, contents) {
        if (typeof contents !== "string") binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw error ?? new Error("nothing was compiled");
  const wasm = new WebAssembly.Memory({ initial: PAGES });
  const kernels: KernelExports = instantiate(new WebAssembly.Module(binary.slice()), wasm);
  return { memory: new EngineMemory(wasm, PAGES * 65536), kernels };
}

describe.runIf(hasRelaxedSimd()).each([
  ["u8-exact", "u"],
  ["signed", "s"],
] as const)("a machine of class %s, emulated", (dot: DotClass, extend) => {
  let host: Host;
  beforeAll(async () => {
    host = await emulate(extend);
  });

  it("is what the probe says", () => expect(probeDot(host.kernels, host.memory.u8(0, 128), 64)).toBe(dot));
  it("multiplies matrices of every byte", () =>
    compareGemm(host, { dot, variant: "relaxed_dot" }, { xLow: 0, xHigh: 255, w: 128 }));
  it("convolves", () => compareConv(host, false, { dot }, [0, 255], 128));
  it("convolves transposed", () => compareConv(host, true, { dot }, [0, 255], 128));
  it("convolves depthwise", () => compareDepthwise(host, { dot }, [0, 255], 128));
});
