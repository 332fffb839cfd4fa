/**
 * Convolution as an implicit matrix product: rows are output pixels found through offset tables, the sum
 * runs over taps of the kernel. Forward and input gradient are both lists of such products. There are two
 * kinds: dense (one product a group) and depthwise.
 */

import { PANEL, convRowBlock } from "../../kernels/f32-gemm/tile.ts";
import type { Engine } from "../engine.ts";
import type { Alloc } from "./image.ts";
import { tableFrom } from "./image.ts";
import { initialSums } from "./operands.ts";

/** One product: which pixels, and which points of the kernel in which order. */
export interface Product {
  /** Pixels, and addresses of their u32 offset tables: into the source, and into the result. */
  readonly rows: number;
  readonly table: number;
  readonly out: number;
  /** Kernel points in the order of the sum, with their byte offsets from a pixel's table entry. */
  readonly taps: readonly { readonly point: number; readonly offset: number }[];
}

/** What the products of one convolution share. Weights are read as w[o][c][point] through element strides. */
export interface Operands {
  readonly source: number;
  readonly sourceChannels: number;
  readonly result: number;
  readonly resultChannels: number;
  readonly groups: number;
  readonly bias: Float32Array | null;
  /** Address of the weights, and strides in floats: next result channel, next source channel, next group. */
  readonly weight: number;
  readonly strideO: number;
  readonly strideC: number;
  readonly strideG: number;
}

/** Joins taps that lie side by side into runs; only whole pixels of one group can be joined. */
export function runsOf(
  taps: Product["taps"],
  channels: number,
  joinable: boolean,
): { starts: number[]; length: number } {
  const bytes = channels * 4;
  let length = taps.length;
  if (!joinable) length = 1;
  // The longest run length that divides all taps into equal contiguous runs.
  for (; length > 1; length--) {
    if (taps.length % length !== 0) continue;
    const contiguous = taps.every((tap, i) => i % length === 0 || tap.offset === (taps[i - 1]?.offset ?? 0) + bytes);
    if (contiguous) break;
  }
  const step = Math.max(length, 1);
  return { starts: taps.filter((_, i) => i % step === 0).map((tap) => tap.offset), length: step * channels };
}

/** Computes one product for every group, into the rows' places of the result. */
export function runDense(engine: Engine, alloc: Alloc, operands: Operands, product: Product): void {
  const { kernels } = engine;
  const { groups, strideO, strideC, strideG, bias } = operands;
  const inputs = operands.sourceChannels / groups;
  const outputs = operands.resultChannels / groups;
  const runs = runsOf(product.taps, inputs, groups === 1);
  const panelBytes = product.taps.length * inputs * 32;
  const packed = alloc(Math.ceil(outputs / PANEL) * panelBytes);
  const tapTable = tableFrom(engine, alloc, runs.starts);
  const rowBlock = convRowBlock(Math.ceil(outputs / PANEL) * panelBytes);
  for (let g = 0; g < groups; g++) {
    product.taps.forEach(({ point }, i) => {
      const from = operands.weight + (g * strideG + point) * 4;
      kernels.f32_pack(inputs, outputs, from, strideC * 4, strideO * 4, panelBytes, packed + i * inputs * 32);
    });
    const init = initialSums(engine, alloc, bias?.subarray(g * outputs, (g + 1) * outputs) ?? null, outputs);
    const operations = 2 * product.rows * product.taps.length * inputs * outputs;
    // prettier-ignore
    engine.share("f32_gemm_6x8", [
      0, product.rows, product.table, product.out, operands.source + g * inputs * 4, runs.starts.length, tapTable, runs.length,
      packed, panelBytes, init, 0, operands.result + g * outputs * 4, outputs, -Infinity, Infinity, rowBlock,
    ], { at: 0, unit: 6 }, operations);
  }
}

/** The same when each group has one channel in and one out. */
export function runDepthwise(engine: Engine, alloc: Alloc, operands: Operands, product: Product): void {
  const { kernels } = engine;
  const channels = operands.resultChannels;
  const weights = alloc(product.taps.length * channels * 4);
  product.taps.forEach(({ point }, i) => {
    kernels.layout_transpose32(
      channels,
      1,
      operands.weight + point * 4,
      operands.strideG * 4,
      weights + i * channels * 4,
      channels * 4,
    );
  });
  const tapTable = tableFrom(
    engine,
    alloc,
    product.taps.map((tap) => tap.offset),
  );
  const init = initialSums(engine, alloc, operands.bias, channels);
  // prettier-ignore
  engine.share("f32_depthwise_4x8", [
    0, product.rows, product.table, product.out, operands.source, product.taps.length, tapTable,
    weights, init, operands.result, channels, -Infinity, Infinity,
  ], { at: 0, unit: 4 }, 2 * product.rows * product.taps.length * channels);
}

/** Whether every group has exactly one channel in and one out. */
export function isDepthwise(shape: {
  readonly groups: number;
  readonly inChannels: number;
  readonly outChannels: number;
}): boolean {
  return shape.groups > 1 && shape.groups === shape.inChannels && shape.groups === shape.outChannels;
}
