/** How long a model takes: sessions timed in turn, so that a busy machine is busy for all of them. */

import type { Session } from "../onnx/backend/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface Latency {
  readonly name: string;
  readonly backend: string;
  readonly threads: number;
  readonly batch: number;
  readonly runs: number;
  /** Milliseconds of one run: loading apart, the first run, then the median, nine tenths, and the fastest. */
  readonly first: number;
  readonly median: number;
  readonly p90: number;
  readonly fastest: number;
  /** Samples a second at the median. */
  readonly throughput: number;
}

export interface LatencyOptions {
  /** How long each session is timed, warm-up apart. */
  readonly seconds: number;
  /** Fewest runs of each. */
  readonly runs?: number;
  readonly onProgress?: (fraction: number) => void;
}

const WARM_UP_RUNS = 3;

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}

async function timed(session: Session, inputs: readonly Tensor[]): Promise<number> {
  const started = performance.now();
  await session.run(inputs);
  return performance.now() - started;
}

/** Times sessions on the same inputs, interleaved. */
export async function measureLatency(
  models: readonly { readonly name: string; readonly session: Session }[],
  inputs: readonly Tensor[],
  { seconds, runs = 10, onProgress }: LatencyOptions,
): Promise<Latency[]> {
  const first: number[] = [];
  for (const { session } of models) {
    first.push(await timed(session, inputs));
    for (let i = 0; i < WARM_UP_RUNS; i++) await session.run(inputs);
  }
  const times = models.map((): number[] => []);
  const totals = models.map(() => 0);
  const wanted = seconds * 1000;
  for (let round = 0; round < runs || Math.min(...totals) < wanted; round++) {
    for (const [i, { session }] of models.entries()) {
      if (round >= runs && totals[i]! >= wanted) continue;
      const time = await timed(session, inputs);
      times[i]!.push(time);
      totals[i]! += time;
    }
    onProgress?.(Math.min(1, Math.min(...totals) / wanted));
  }
  return models.map(({ name, session }, i) => {
    const sorted = times[i]!.sort((a, b) => a - b);
    const batch = inputs[0]?.shape[0] ?? 1;
    const median = quantile(sorted, 0.5);
    return {
      name,
      backend: session.backend,
      threads: session.threads,
      batch,
      runs: sorted.length,
      first: first[i]!,
      median,
      p90: quantile(sorted, 0.9),
      fastest: sorted[0]!,
      throughput: (batch * 1000) / median,
    };
  });
}
