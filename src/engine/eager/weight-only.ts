/** The product of float rows with a packed 8- or 4-bit weight, its panels shared among threads. */

import { NR } from "../../kernels/wonly/weights.ts";
import type { PackedWeightOnly } from "../../kernels/wonly/weights.ts";
import type { Engine } from "../engine.ts";

const FLOAT = 4;
/** Panels that a single row reads at once. */
const ROW_PANELS = 4;

/** y [rows, channels] of x [rows, depth], both dense f32; `weights` is the address of the packed bytes. */
export function runWeightOnly(
  engine: Pick<Engine, "share">,
  { bits, channels, depth, groupSize, biasOffset }: PackedWeightOnly,
  weights: number,
  rows: number,
  x: number,
  y: number,
): void {
  if (rows === 0 || channels === 0) return;
  const panels = Math.ceil(channels / NR);
  const bias = weights + biasOffset;
  const operations = 2 * rows * depth * channels;
  if (rows === 1) {
    engine.share(
      bits === 8 ? "wonly_s8_1x32" : "wonly_u4_1x32",
      [0, panels, depth, groupSize, channels, x, weights, bias, y],
      { at: 0, unit: ROW_PANELS },
      operations,
    );
    return;
  }
  engine.share(
    bits === 8 ? "wonly_s8_4x8" : "wonly_u4_4x8",
    [0, panels, rows, depth, groupSize, channels, x, depth * FLOAT, weights, bias, y, channels * FLOAT],
    { at: 0, unit: 1 },
    operations,
  );
}
