/**
 * Weight gradient of a convolution on plain NCHW arrays: dw[o][c][point] = sum over pixels of
 * dy[pixel][o] * x[window of pixel][point][c]. Pixels are taken in blocks of whole lines that stay in the
 * second-level cache while all channels meet; sums continue in memory, so blocks change no bit.
 */

import type { Engine } from "../engine.ts";
import { defaultEngine } from "../engine.ts";
import type { Conv3d, ConvShape } from "../f32/geometry.ts";
import { checkLength, conv3d } from "../f32/geometry.ts";
import type { Alloc, Image } from "../f32/image.ts";
import { copyOut, gridTable, imageFrom, tableFrom } from "../f32/image.ts";
import { isDepthwise } from "../f32/implicit.ts";
import { takesWinograd, winogradWeight } from "../f32/winograd.ts";

/** Pixels of a block: their 32-byte slices of x and 24-byte slices of dy fit the first-level cache. */
const BLOCK_PIXELS = 192;

/** Offsets of the kernel's runs: whole kernel rows where they are contiguous, else single points. */
function weightRuns(image: Image, c: Conv3d): { offsets: number[]; run: number } {
  const contiguous = c.groups === 1 && c.dilation[2] === 1;
  const width = contiguous ? 1 : c.kernel[2];
  const offsets = [];
  for (let z = 0; z < c.kernel[0]; z++)
    for (let y = 0; y < c.kernel[1]; y++)
      for (let x = 0; x < width; x++) {
        offsets.push(
          z * c.dilation[0] * image.planeBytes +
            y * c.dilation[1] * image.rowBytes +
            x * c.dilation[2] * image.pixelBytes,
        );
      }
  return { offsets, run: (contiguous ? c.kernel[2] : 1) * (c.inChannels / c.groups) };
}

/** Sums every group's gradient into `dw`, [outChannels][point][inChannels / groups]. */
function denseWeight(engine: Engine, alloc: Alloc, image: Image, dy: Image, dw: number, c: Conv3d): void {
  const { offsets, run } = weightRuns(image, c);
  const tapTable = tableFrom(engine, alloc, offsets);
  const lineGrid = [c.outSize[0], c.outSize[1], 1] as const;
  const xLines = gridTable(engine, alloc, 0, c.batch, lineGrid, [
    image.imageBytes,
    c.stride[0] * image.planeBytes,
    c.stride[1] * image.rowBytes,
    0,
  ]);
  const dyLines = gridTable(engine, alloc, 0, c.batch, lineGrid, [dy.imageBytes, dy.planeBytes, dy.rowBytes, 0]);
  const lines = c.batch * c.outSize[0] * c.outSize[1];
  const block = Math.max(1, Math.floor(BLOCK_PIXELS / c.outSize[2]));
  const [inputs, outputs] = [c.inChannels / c.groups, c.outChannels / c.groups];
  const dwRow = c.points * inputs * 4;
  for (let line = 0; line < lines; line += block) {
    for (let g = 0; g < c.groups; g++) {
      const count = Math.min(block, lines - line);
      // prettier-ignore
      engine.share("f32_conv_weight_6x8", [
        0, outputs, count, xLines + line * 4, dyLines + line * 4, c.outSize[2],
        image.at + g * inputs * 4, c.stride[2] * image.pixelBytes, offsets.length, tapTable, run,
        dy.at + g * outputs * 4, dy.pixelBytes, dw + g * outputs * dwRow, dwRow,
      ], { at: 0, unit: 6 }, 2 * count * c.outSize[2] * outputs * offsets.length * run);
    }
  }
}

/** The depthwise case: dw is [point][channel]. */
function depthwiseWeight(engine: Engine, alloc: Alloc, image: Image, dy: Image, dw: number, c: Conv3d): void {
  const { offsets } = weightRuns(image, { ...c, groups: c.inChannels });
  const tapTable = tableFrom(engine, alloc, offsets);
  const [z, y, x] = c.stride;
  const table = gridTable(engine, alloc, 0, c.batch, c.outSize, [
    image.imageBytes,
    z * image.planeBytes,
    y * image.rowBytes,
    x * image.pixelBytes,
  ]);
  const rows = c.batch * c.outPixels;
  const out = gridTable(engine, alloc, 0, 1, [1, 1, rows], [0, 0, 0, dy.pixelBytes]);
  engine.kernels.f32_depthwise_weight(
    0,
    rows,
    table,
    out,
    image.at,
    c.points,
    tapTable,
    dy.at,
    dw,
    c.inChannels,
    0,
    c.inChannels,
  );
}

/**
 * Gradient of the convolution with respect to its weight: x [batch, inChannels, ...size] and
 * dy [batch, outChannels, ...outSize] give dw [outChannels, inChannels / groups, ...kernel].
 * @throws EngineError when the shape is not legal or an array's length does not fit it.
 */
export function convNdBackwardWeightF32(
  dy: Float32Array,
  x: Float32Array,
  shape: ConvShape,
  engine: Engine = defaultEngine(),
): Float32Array {
  const c = conv3d(shape);
  checkLength("convolution", "x", x, c.batch * c.inChannels * c.inPixels);
  checkLength("convolution", "dy", dy, c.batch * c.outChannels * c.outPixels);
  return engine.memory.scope((alloc) => {
    const inputs = c.inChannels / c.groups;
    const length = c.outChannels * inputs * c.points;
    const sums = alloc(length * 4);
    const dw = alloc(length * 4);
    if (takesWinograd(engine, c)) {
      winogradWeight(engine, alloc, dy, x, sums, c);
    } else {
      directWeight(engine, alloc, dy, x, sums, c);
    }
    if (isDepthwise(c)) {
      engine.kernels.layout_transpose32(c.points, c.inChannels, sums, c.inChannels * 4, dw, c.points * 4);
    } else {
      for (let o = 0; o < c.outChannels; o++) {
        const offset = o * inputs * c.points * 4;
        engine.kernels.layout_transpose32(c.points, inputs, sums + offset, inputs * 4, dw + offset, c.points * 4);
      }
    }
    return copyOut(engine, dw, length);
  });
}

/** Direct sums into `dw`, [outChannels][point][channel of the group], or [point][channel] when depthwise. */
function directWeight(engine: Engine, alloc: Alloc, dy: Float32Array, x: Float32Array, dw: number, c: Conv3d): void {
  const { batch, inChannels, outChannels, size, outSize, padding } = c;
  const image = imageFrom(engine, alloc, x, { batch, channels: inChannels, size }, padding, padding);
  const grad = imageFrom(engine, alloc, dy, { batch, channels: outChannels, size: outSize }, [0, 0, 0], [0, 0, 0]);
  engine.kernels.fill_f32(dw, 0, (outChannels * inChannels * c.points) / c.groups);
  (isDepthwise(c) ? depthwiseWeight : denseWeight)(engine, alloc, image, grad, dw, c);
}
