/**
 * Accuracy, logits and speed of a classifier over a set of images.
 */

import { noGrad } from "fewbit";
import type { Tensor } from "fewbit";
import { takeRows } from "fewbit/data";
import { Progress } from "./progress.ts";

export interface Evaluation {
  /** Share of images whose largest logit is the label's, 0..1. */
  readonly accuracy: number;
  /** All logits, row-major [images, classes]. */
  readonly logits: Float32Array;
  readonly imagesPerSecond: number;
}

/** Runs `forward` over `images` [n, ...] in batches and compares with integer `labels` [n]. */
export function evaluate(
  label: string,
  forward: (batch: Tensor) => Tensor,
  images: Tensor,
  labels: Tensor,
  batchSize = 50,
): Evaluation {
  const total = images.shape[0]!;
  const progress = new Progress(label, total);
  const parts: Tensor[] = [];
  const started = performance.now();
  for (let at = 0; at < total; at += batchSize) {
    const rows = Array.from({ length: Math.min(batchSize, total - at) }, (_, i) => at + i);
    parts.push(noGrad(() => forward(takeRows(images, rows))));
    progress.update(at + rows.length);
  }
  const seconds = (performance.now() - started) / 1000;
  const classes = parts[0]!.shape[1]!;
  const logits = new Float32Array(total * classes);
  parts.reduce((at, part) => (logits.set(part.data, at), at + part.numel), 0);
  let right = 0;
  for (let i = 0; i < total; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    if (row.indexOf(Math.max(...row)) === labels.data[i]) right++;
  }
  return { accuracy: right / total, logits, imagesPerSecond: total / seconds };
}

/** 20 log10(|reference| / |reference - x|): signal over quantization noise, in dB. */
export function sqnr(reference: Float32Array, x: Float32Array): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < reference.length; i++) {
    signal += reference[i]! ** 2;
    noise += (reference[i]! - x[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
