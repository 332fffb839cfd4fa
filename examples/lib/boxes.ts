/** Boxes of a detector: overlap, and the ones that are left when weaker ones over the same place go. */

import type { Tensor } from "fewbit";

export interface Detection {
  /** left, top, right, bottom, in parts of the image. */
  readonly box: readonly number[];
  readonly score: number;
}

/** Intersection over union of two boxes. */
export function overlap(a: readonly number[], b: readonly number[]): number {
  const width = Math.min(a[2]!, b[2]!) - Math.max(a[0]!, b[0]!);
  const height = Math.min(a[3]!, b[3]!) - Math.max(a[1]!, b[1]!);
  if (width <= 0 || height <= 0) return 0;
  const area = (box: readonly number[]): number => (box[2]! - box[0]!) * (box[3]! - box[1]!);
  return (width * height) / (area(a) + area(b) - width * height);
}

/** Detections over a score, strongest first, without those that overlap a stronger one by more than half. */
export function detections(scores: Tensor, boxes: Tensor, least: number): Detection[] {
  const all: Detection[] = [];
  for (let i = 0; i < boxes.numel / 4; i++) {
    const score = scores.data[2 * i + 1]!;
    if (score > least) all.push({ score, box: Array.from(boxes.data.slice(4 * i, 4 * i + 4)) });
  }
  all.sort((a, b) => b.score - a.score);
  const kept: Detection[] = [];
  for (const one of all) if (kept.every(({ box }) => overlap(box, one.box) <= 0.5)) kept.push(one);
  return kept;
}
