/** Samples in a random order that is the same for the same seed. */

import { ArgumentError } from "../errors.ts";
import { cat } from "../ops/cat.ts";
import { Generator } from "../tensor/random.ts";
import type { DataBatch, DataSource } from "./source.ts";

async function sampleAt(source: DataSource, index: number): Promise<DataBatch> {
  for await (const batch of source.batches({ batchSize: 1, from: index, limit: index + 1 })) return batch;
  throw new ArgumentError(source.name, { sample: index }, "the data became shorter while it was read");
}

function joined(samples: readonly DataBatch[]): DataBatch {
  const [first] = samples;
  const labels = samples.flatMap((sample) => sample.labels ?? []);
  return {
    inputs: first!.inputs.map((_, i) => cat(samples.map(({ inputs }) => inputs[i]!), 0)), // prettier-ignore
    labels: first!.labels && labels,
    samples: samples.length,
  };
}

/** @throws ArgumentError for sources that are streams: they have one order only. */
export function shuffledSource(source: DataSource, seed: number): DataSource {
  const { samples } = source;
  if (samples === null)
    throw new ArgumentError(source.name, { seed }, "the samples of a program come in its own order", "Shuffle there");
  const order = new Generator(seed).permutation(samples);
  return {
    ...source,
    sampleName: (index) => source.sampleName(order[index] ?? index),
    async *batches({ batchSize, from = 0, limit = Infinity }) {
      if (samples === 0) yield* source.batches({ batchSize, from, limit }); // says that there is no data
      const end = Math.min(samples, limit);
      for (let at = from; at < end; at += batchSize) {
        const part = order.slice(at, Math.min(at + batchSize, end));
        const batch: DataBatch[] = [];
        for (const index of part) batch.push(await sampleAt(source, index));
        yield joined(batch);
      }
    },
  };
}
