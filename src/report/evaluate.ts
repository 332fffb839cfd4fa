/**
 * How good models are on labelled data, and how far their outputs lie from the first model's: read batch by batch,
 * nothing kept but sums.
 */

import type { DataSource } from "../data/source.ts";
import type { Session } from "../onnx/backend/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface Evaluation {
  readonly name: string;
  readonly samples: number;
  /** Share of samples whose largest output is the label's, and among whose five largest it is; null without labels. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** 10 log10 of signal over noise of all outputs against the first model's; null for the first model itself. */
  readonly sqnr: number | null;
  /** Milliseconds the model itself ran. */
  readonly milliseconds: number;
}

export interface EvaluateOptions {
  readonly batchSize: number;
  readonly limit?: number;
  readonly onProgress?: (samples: number) => void;
}

/** How many of the values are larger than the label's; ties count as larger when they come before it, as in argmax. */
function rankOf(values: ArrayLike<number>, from: number, classes: number, label: number): number {
  const own = values[from + label]!;
  let rank = 0;
  for (let c = 0; c < classes; c++) {
    const value = values[from + c]!;
    if (value > own || (value === own && c < label) || Number.isNaN(own)) rank++;
  }
  return rank;
}

class Tally {
  samples = 0;
  labelled = 0;
  milliseconds = 0;
  private first = 0;
  private five = 0;
  private signal = 0;
  private noise = 0;

  rank(output: Tensor, labels: readonly number[]): void {
    const classes = output.numel / labels.length;
    labels.forEach((label, i) => {
      if (label >= classes) return;
      const rank = rankOf(output.data, i * classes, classes, label);
      if (rank < 1) this.first++;
      if (rank < 5) this.five++;
    });
    this.labelled += labels.length;
  }

  compare(reference: Tensor, output: Tensor): void {
    const [a, b] = [reference.data, output.data];
    for (let i = 0; i < a.length; i++) {
      const [x, y] = [a[i]!, b[i]!];
      this.signal += x * x;
      this.noise += (x - y) * (x - y);
    }
  }

  result(name: string, isFirst: boolean): Evaluation {
    const share = (right: number): number | null => (this.labelled > 0 ? right / this.labelled : null);
    return {
      name,
      samples: this.samples,
      top1: share(this.first),
      top5: share(this.five),
      sqnr: isFirst ? null : 10 * Math.log10(this.signal / this.noise),
      milliseconds: this.milliseconds,
    };
  }
}

/**
 * Runs models side by side over the data. The first output's last axis is taken for classes where there are labels.
 * @throws DataError as the source does.
 */
export async function evaluate(
  models: readonly { readonly name: string; readonly session: Session }[],
  source: DataSource,
  { batchSize, limit, onProgress }: EvaluateOptions,
): Promise<Evaluation[]> {
  const tallies = models.map(() => new Tally());
  for await (const batch of source.batches({ batchSize, ...(limit !== undefined && { limit }) })) {
    let reference: readonly Tensor[] | null = null;
    for (const [i, { session }] of models.entries()) {
      const tally = tallies[i]!;
      const started = performance.now();
      const outputs = await session.run(batch.inputs);
      tally.milliseconds += performance.now() - started;
      tally.samples += batch.samples;
      if (batch.labels) tally.rank(outputs[0]!, batch.labels);
      if (reference) reference.forEach((expected, k) => tally.compare(expected, outputs[k]!));
      else reference = outputs;
    }
    onProgress?.(tallies[0]!.samples);
  }
  return tallies.map((tally, i) => tally.result(models[i]!.name, i === 0));
}
