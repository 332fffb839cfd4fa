/**
 * What this processor could do at most in WebAssembly: chains of one instruction with operands in registers. A kernel's rate
 * beside it says how well the kernel does, whatever the clock was. Twelve chains hide the latency of both instructions.
 */

import asc from "assemblyscript/asc";

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

/** Operations of one instruction, a multiply-add counting two; how a chain goes on; and what the bars' machine did, GOP/s. */
export const peaks = {
  "int8 dot product": {
    operations: 32,
    step: (chain: string) => `i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, ${chain})`,
    ofBars: 246,
  },
  "f32 multiply-add": { operations: 8, step: (chain: string) => `f32x4.relaxed_madd(w, x, ${chain})`, ofBars: 62.8 },
} as const;

export type PeakName = keyof typeof peaks;

/** Bytes of both operands; as floats an ordinary number. */
const SEED = 0x3f3f;

/** A call and how many operations it does. Needs a host with relaxed SIMD. */
export async function peakWork(name: PeakName): Promise<{ call: () => void; amount: number }> {
  const { operations, step } = peaks[name];
  const run = await compile(source(step));
  return { call: () => void run(TURNS, SEED), amount: operations * CHAINS * TURNS };
}
