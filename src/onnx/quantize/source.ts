/**
 * Calibration data as passes and the loop need it: the loop reads every batch once and forgets it, passes may look at
 * the first samples at any time, whether the caller gave something that can be read again or a stream that cannot.
 */

import type { CalibrationBatch, CalibrationData } from "./options.ts";

type Batches = AsyncIterable<CalibrationBatch> | Iterable<CalibrationBatch>;

function iteratorOf(batches: Batches): AsyncIterator<CalibrationBatch> | Iterator<CalibrationBatch> {
  return Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]();
}

export class CalibrationSource {
  private readonly data: CalibrationData;
  /** Batches that are kept for passes, from the first on. */
  private readonly kept: CalibrationBatch[] = [];
  private readonly keep: number;
  private iterator: AsyncIterator<CalibrationBatch> | Iterator<CalibrationBatch> | null = null;

  /** @param keep batches to hold on to for `first`. */
  constructor(data: CalibrationData, keep: number) {
    this.data = data;
    this.keep = keep;
  }

  /** Every batch from the one with the number `skip` on. */
  async *from(skip: number): AsyncGenerator<CalibrationBatch> {
    if (typeof this.data === "function") {
      yield* this.data(skip);
      return;
    }
    for (let i = 0; ; i++) {
      const batch = this.kept[i] ?? (await this.pull());
      if (batch === undefined) return;
      if (i >= skip) yield batch;
    }
  }

  /** The first batches, until `enough` says so. */
  async first(enough: (batch: CalibrationBatch) => boolean): Promise<void> {
    if (typeof this.data === "function") {
      for await (const batch of this.data(0)) if (enough(batch)) return;
      return;
    }
    for (let i = 0; ; i++) {
      const batch = this.kept[i] ?? (await this.pull());
      if (batch === undefined || enough(batch)) return;
    }
  }

  private async pull(): Promise<CalibrationBatch | undefined> {
    this.iterator ??= iteratorOf(this.data as Batches);
    const next = await this.iterator.next();
    if (next.done === true) return undefined;
    if (this.kept.length < this.keep) this.kept.push(next.value);
    return next.value;
  }
}
