/** Data of the command line: the source that the flags name, and how much of it is used. */

import { openData } from "../data/files/index.ts";
import { batchSizeFor, shuffledSource, sourceFrom } from "../data/index.ts";
import type { DataSource, InputSpec } from "../data/index.ts";
import { dataOptions } from "./options.ts";
import type { DataFlags } from "./options.ts";
import { UsageError } from "./usage.ts";

export interface OpenedData {
  readonly source: DataSource;
  readonly batchSize: number;
  /** Samples that will be used; null when nobody knows before the end. */
  readonly samples: number | null;
  readonly limit: number | undefined;
}

/** @throws UsageError without --data; DataError and others as openData. */
export async function openDataFor(specs: readonly InputSpec[], flags: DataFlags): Promise<OpenedData> {
  const { data, samples: limit, batch } = flags;
  if (data === undefined) throw new UsageError("give the data: --data <file or folder>");
  const opened = sourceFrom(await openData(data, specs, dataOptions(flags)), flags.skip ?? 0);
  const source = flags.seed === undefined ? opened : shuffledSource(opened, flags.seed);
  if (source.samples === 0 && flags.skip)
    throw new UsageError(`--skip ${flags.skip} leaves no samples of ${source.name}`);
  const samples = source.samples === null ? (limit ?? null) : Math.min(source.samples, limit ?? Infinity);
  return { source, batchSize: batchSizeFor(specs, batch), samples, limit };
}
