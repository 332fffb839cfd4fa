/** What runs inside the page: engines of every kind compute the same convolutions, here compared with the reference. */

import { convNdBackwardInputF32, convNdBackwardWeightF32, convNdF32 } from "../../src/engine/eager/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { conv3d } from "../../src/engine/f32/geometry.ts";
import { CONTROL_AT, CONTROL_WORDS, WORD } from "../../src/engine/threads/protocol.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import { convWeightGradReference } from "../../src/kernels/f32-conv-weight/reference.ts";
import { convInputGradReference, convReference } from "../../src/kernels/f32-gemm/reference.ts";

/** How long a worker may take to start. */
const WAIT_MS = 10_000;

const SHAPE = {
  batch: 2, inChannels: 16, outChannels: 24, groups: 1, size: [17, 15], kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1],
}; // prettier-ignore

function floats(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 0.7 + seed));
}

/** Bytes of all three results, as one string that two engines can be compared by. */
function results(engine: Engine): Float32Array[] {
  const c = conv3d(SHAPE);
  const [x, w, dy] = [floats(2 * 16 * c.inPixels, 1), floats(24 * 16 * 9, 2), floats(2 * 24 * c.outPixels, 3)];
  let all: Float32Array[] = [];
  // Often enough that workers wake and take part.
  for (let i = 0; i < 30; i++) {
    all = [
      convNdF32(x, w, null, SHAPE, engine),
      convNdBackwardInputF32(dy, w, SHAPE, engine),
      convNdBackwardWeightF32(dy, x, SHAPE, engine),
    ];
  }
  return all;
}

function references(): Float32Array[] {
  const c = conv3d(SHAPE);
  const [x, w, dy] = [floats(2 * 16 * c.inPixels, 1), floats(24 * 16 * 9, 2), floats(2 * 24 * c.outPixels, 3)];
  return [convReference(x, w, null, c), convInputGradReference(dy, w, c), convWeightGradReference(dy, x, c)].map(
    ({ values }) => values,
  );
}

function same(a: readonly Float32Array[], b: readonly Float32Array[]): boolean {
  return a.every((values, i) => values.every((value, j) => Object.is(value, b[i]![j])));
}

/** Workers that have started and listen. */
function listening({ memory }: Engine): number {
  return Atomics.load(new Int32Array(memory.wasm.buffer, CONTROL_AT, CONTROL_WORDS), WORD.ready);
}

async function run(): Promise<object> {
  const build = "simd";
  const direct = new Engine({ build, winograd: false });
  const threads = new Engine({ threads: 2 });
  const alone = new Engine();
  // Workers of a page start only while its main thread is idle.
  const until = performance.now() + WAIT_MS;
  while (listening(threads) < threads.threads - 1 && performance.now() < until)
    await new Promise((done) => setTimeout(done, 20));
  return {
    relaxed: hasRelaxedSimd(),
    dot: alone.dot,
    threads: threads.threads,
    workers: threads.threads > 1 ? listening(threads) : 0,
    simdIsReference: same(results(direct), references()),
    threadsAreSame: same(results(threads), results(alone)),
  };
}

(globalThis as { result?: unknown }).result = run();
