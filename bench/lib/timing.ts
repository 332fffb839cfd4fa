/**
 * The one way to time: warm up until compilers have done their part, then batches long enough for the clock, and of
 * several batches the median. Batches of things to compare take turns, so that noise meets all of them.
 */

/** Something to time. It must consume its own result. */
export type Call = () => void | Promise<void>;

export interface TimingOptions {
  /** Time spent before anything is measured. */
  readonly warmMs: number;
  /** Length of a batch. */
  readonly batchMs: number;
}

export const TIMING: TimingOptions = { warmMs: 200, batchMs: 20 };
export const QUICK_TIMING: TimingOptions = { warmMs: 60, batchMs: 8 };
/** Calls before anything is measured, even where one alone takes longer than the warm-up. */
const WARM_CALLS = 2;

async function elapsed(call: Call, count: number): Promise<number> {
  const started = performance.now();
  for (let i = 0; i < count; i++) {
    const running = call();
    // A resolved promise would still cost a turn of the event loop.
    if (running) await running;
  }
  return performance.now() - started;
}

/** Warms `call` up, and returns how many calls make a batch. */
export async function warmUp(call: Call, { warmMs, batchMs }: TimingOptions): Promise<number> {
  const started = performance.now();
  let calls = 0;
  while (calls < WARM_CALLS || performance.now() - started < warmMs) {
    await elapsed(call, 1);
    calls++;
  }
  const one = await elapsed(call, 1);
  return Math.max(1, Math.floor(batchMs / Math.max(one, 1e-4)));
}

/** Milliseconds of one call, of a batch of `count`. */
export async function timeBatch(call: Call, count: number): Promise<number> {
  return (await elapsed(call, count)) / count;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Milliseconds of one call of each, median and best of `rounds` batches that take turns. */
export async function interleaved(
  calls: readonly Call[],
  rounds: number,
  timing: TimingOptions = TIMING,
): Promise<{ median: number; best: number }[]> {
  const counts: number[] = [];
  for (const call of calls) counts.push(await warmUp(call, timing));
  const times = calls.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, call] of calls.entries()) times[i]!.push(await timeBatch(call, counts[i]!));
  return times.map((list) => ({ median: median(list), best: Math.min(...list) }));
}
