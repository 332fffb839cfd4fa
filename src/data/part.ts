/** A source without its first samples: calibrate on some, evaluate on the others. */

import type { DataSource } from "./source.ts";

export function sourceFrom(source: DataSource, first: number): DataSource {
  if (first === 0) return source;
  return {
    ...source,
    samples: source.samples === null ? null : Math.max(source.samples - first, 0),
    sampleName: (index) => source.sampleName(index + first),
    async *batches({ batchSize, from = 0, limit }) {
      const to = limit === undefined ? {} : { limit: limit + first };
      yield* source.batches({ batchSize, from: from + first, ...to });
    },
  };
}
