/**
 * Convolution products whose weights are computed anew in each run: a list of output pixels, and the taps each of them
 * meets. Forward is one such list, the input gradient one a phase of the stride (engine/f32/phases).
 */

import { isDepthwise, runsOf } from "../../../engine/f32/implicit.ts";
import type { Conv3d } from "../../../engine/f32/geometry.ts";
import { DEPTHWISE_ROWS, PANEL, TILE_ROWS, convRowBlock } from "../../../kernels/f32-gemm/tile.ts";
import type { Place } from "../../plan.ts";
import { constantF32, constantI32 } from "../../steps/conv.ts";

const FLOAT = 4;

export interface Product {
  /** Byte offsets of every pixel: into the source, and into the result. */
  readonly table: ArrayLike<number>;
  readonly out: ArrayLike<number>;
  /** Kernel points with their byte offsets from a pixel's place in the source. */
  readonly taps: readonly { readonly point: number; readonly offset: number }[];
}

/** Addresses, and the direction: forward sums over input channels, backward over output channels. */
export interface ProductOperands {
  readonly source: number;
  readonly weight: number;
  readonly bias: number | null;
  readonly result: number;
  readonly low: number;
  readonly high: number;
  readonly backward: boolean;
}

/** The call that packs the weights and computes the product. */
export function bindProduct(place: Place, c: Conv3d, operands: ProductOperands, product: Product): () => void {
  return (isDepthwise(c) ? bindDepthwise : bindDense)(place, c, operands, product);
}

function bindDense(place: Place, c: Conv3d, operands: ProductOperands, product: Product): () => void {
  const { engine, constant } = place;
  const { groups, points } = c;
  const { backward, source, result, low, high } = operands;
  const [own, other] = [c.outChannels / groups, c.inChannels / groups];
  const [inputs, outputs] = backward ? [own, other] : [other, own];
  const [strideO, strideC] = backward ? [points, other * points] : [other * points, points];
  const runs = runsOf(product.taps, inputs, groups === 1);
  const panelBytes = product.taps.length * inputs * PANEL * FLOAT;
  const packed = constant(Math.ceil(outputs / PANEL) * panelBytes);
  const [table, out] = [constantI32(place, product.table), constantI32(place, product.out)];
  const taps = constantI32(place, runs.starts);
  const padded = Math.ceil(outputs / PANEL) * PANEL;
  const init = constantF32(place, [], padded);
  const rows = product.table.length;
  const block = convRowBlock(Math.ceil(outputs / PANEL) * panelBytes);
  const operations = 2 * rows * product.taps.length * inputs * outputs;
  const split = { at: 0, unit: TILE_ROWS };
  return () => {
    for (let g = 0; g < groups; g++) {
      const from = operands.weight + g * own * other * points * FLOAT;
      product.taps.forEach(({ point }, i) =>
        engine.kernels.f32_pack(
          inputs, outputs, from + point * FLOAT, strideC * FLOAT, strideO * FLOAT, panelBytes, packed + i * inputs * PANEL * FLOAT,
        ),
      ); // prettier-ignore
      if (operands.bias !== null)
        engine.memory.f32(init, outputs).set(engine.memory.f32(operands.bias + g * outputs * FLOAT, outputs));
      engine.share("f32_gemm_6x8", [
        0, rows, table, out, source + g * inputs * FLOAT, runs.starts.length, taps, runs.length, packed, panelBytes, init, 0,
        result + g * outputs * FLOAT, outputs, low, high, block,
      ], split, operations); // prettier-ignore
    }
  };
}

/** Every group has one channel in and one out. */
function bindDepthwise(place: Place, c: Conv3d, operands: ProductOperands, product: Product): () => void {
  const { engine, constant } = place;
  const { kernels } = engine;
  const { source, result, weight, bias, low, high } = operands;
  const channels = c.inChannels;
  const { taps } = product;
  const weights = constant(taps.length * channels * FLOAT);
  const [table, out] = [constantI32(place, product.table), constantI32(place, product.out)];
  const offsets = constantI32(
    place,
    taps.map(({ offset }) => offset),
  );
  const init = constantF32(place, [], Math.ceil(channels / PANEL) * PANEL);
  const rows = product.table.length;
  const operations = 2 * rows * taps.length * channels;
  const split = { at: 0, unit: DEPTHWISE_ROWS };
  return () => {
    taps.forEach(({ point }, i) =>
      kernels.layout_transpose32(
        channels, 1, weight + point * FLOAT, c.points * FLOAT, weights + i * channels * FLOAT, channels * FLOAT,
      ),
    ); // prettier-ignore
    if (bias !== null) engine.memory.f32(init, channels).set(engine.memory.f32(bias, channels));
    engine.share(
      "f32_depthwise_4x8",
      [0, rows, table, out, source, taps.length, offsets, weights, init, result, channels, low, high],
      split,
      operations,
    );
  };
}
