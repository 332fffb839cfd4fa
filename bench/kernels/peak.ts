/**
 * What this processor could do at most in WebAssembly: chains of one instruction with operands in registers. A kernel's rate
 * beside it says how well the kernel does, whatever the clock was. Twelve chains hide the latency of both instructions.
 */

import asc from "assemblyscript/asc";
import type { KernelWork } from "./work.ts";

const CHAINS = 12;
const TURNS = 100_000;

function source(step: (chain: string) => string): string {
  const chains = Array.from({ length: CHAINS }, (_, i) => `a${i}`);
  return `export function run(turns: i32, seed: i32): i32 {
  const w = i8x16.splat(<i8>seed), x = i8x16.splat(<i8>(seed >> 8));
  let ${chains.map((chain) => `${chain} = w`).join(", ")};
  for (let i = 0; i < turns; i++) {
    ${chains.map((chain) => `${chain} = ${step(chain)};`).join("\n    ")}
  }
  return i32x4.extract_lane(${chains.reduce((sum, chain) => `i32x4.add(${sum}, ${chain})`)}, 0);
}`;
}

async function compile(text: string): Promise<(turns: number, seed: number) => number> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const options = ["in.ts", "--outFile", "out.wasm", "-O1", "--runtime", "stub", "--enable", "simd,relaxed-simd"];
  const { error } = await asc.main(options, {
    readFile: (name) => (name === "in.ts" ? text : null),
    writeFile: (_, contents) => {
      if (typeof contents !== "string") binary = Uint8Array.from(contents);
    },
    listFiles: () => [],
  });
  if (error || !binary) throw error ?? new Error("no module was made");
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(binary)).exports;
  return run as (turns: number, seed: number) => number;
}

/** Operations of one instruction, a multiply-add counting two, and how a chain goes on. */
const instructions = {
  "peak int8 dot product": {
    operations: 32,
    step: (chain: string) => `i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, ${chain})`,
  },
  "peak f32 multiply-add": { operations: 8, step: (chain: string) => `f32x4.relaxed_madd(w, x, ${chain})` },
} as const;

/** Needs a host with relaxed SIMD. */
export async function peakWorks(): Promise<KernelWork[]> {
  const works = Object.entries(instructions).map(async ([name, { operations, step }]): Promise<KernelWork> => {
    const run = await compile(source(step));
    return {
      section: "peak",
      name,
      amount: operations * CHAINS * TURNS,
      unit: "GOP/s",
      make: () => ({ call: () => void run(TURNS, 0x3f3f), free: () => undefined }),
    };
  });
  return Promise.all(works);
}

export const peakAmounts: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(instructions).map(([name, { operations }]) => [name, operations * CHAINS * TURNS]),
);
