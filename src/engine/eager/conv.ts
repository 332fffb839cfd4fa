/**
 * Convolution forward and its two gradients on plain NCHW arrays, for one to three spatial axes, with
 * stride, padding, dilation and groups. Inputs become bordered NHWC images; see implicit.ts for the sums.
 */

import type { Engine } from "../engine.ts";
import { defaultEngine } from "../engine.ts";
import type { Conv3d, ConvShape, Triple } from "../f32/geometry.ts";
import { checkLength, conv3d, map3 } from "../f32/geometry.ts";
import type { Alloc, Image } from "../f32/image.ts";
import { copyIn, gridTable, imageFrom, pixelsToPlanes } from "../f32/image.ts";
import type { Operands, Product } from "../f32/implicit.ts";
import { isDepthwise, runDense, runDepthwise } from "../f32/implicit.ts";
import { backwardInputByPhases } from "../f32/phases.ts";
import { runWinograd, takesWinograd, winogradImage } from "../f32/winograd.ts";

/** Kernel points in row-major order with their position. */
function* kernelPoints([depth, height, width]: Triple): Generator<{ point: number; at: Triple }> {
  let point = 0;
  for (let z = 0; z < depth; z++)
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) yield { point: point++, at: [z, y, x] };
}

/** Table of the windows' first pixels in the bordered input. */
function windowTable(engine: Engine, alloc: Alloc, image: Image, c: Conv3d): number {
  const [z, y, x] = c.stride;
  return gridTable(engine, alloc, 0, c.batch, c.outSize, [
    image.imageBytes,
    z * image.planeBytes,
    y * image.rowBytes,
    x * image.pixelBytes,
  ]);
}

function inputTaps(image: Image, c: Conv3d): Product["taps"] {
  return [...kernelPoints(c.kernel)].map(({ point, at: [z, y, x] }) => ({
    point,
    offset:
      z * c.dilation[0] * image.planeBytes + y * c.dilation[1] * image.rowBytes + x * c.dilation[2] * image.pixelBytes,
  }));
}

/** Table of a dense NHWC batch with `channels` channels. */
function denseTable(engine: Engine, alloc: Alloc, batch: number, pixels: number, channels: number): number {
  return gridTable(engine, alloc, 0, 1, [1, 1, batch * pixels], [0, 0, 0, channels * 4]);
}

/** Strides of w in floats: to the next result channel, source channel and group. */
function weightStrides(
  c: Conv3d,
  direction: "forward" | "backward",
): Pick<Operands, "strideO" | "strideC" | "strideG"> {
  const [filter, point] = [(c.inChannels / c.groups) * c.points, c.points];
  const strideG = (c.outChannels / c.groups) * filter;
  return direction === "forward"
    ? { strideO: filter, strideC: point, strideG }
    : { strideO: point, strideC: filter, strideG };
}

function checkArrays(c: Conv3d, arrays: { x?: Float32Array; w?: Float32Array; dy?: Float32Array }): void {
  if (arrays.x) checkLength("convolution", "x", arrays.x, c.batch * c.inChannels * c.inPixels);
  if (arrays.w) checkLength("convolution", "w", arrays.w, (c.outChannels * c.inChannels * c.points) / c.groups);
  if (arrays.dy) checkLength("convolution", "dy", arrays.dy, c.batch * c.outChannels * c.outPixels);
}

/**
 * y = conv(x, w) + bias: x [batch, inChannels, ...size], w [outChannels, inChannels / groups, ...kernel],
 * bias [outChannels] or null; returns [batch, outChannels, ...outSize]. Follows torch.nn.functional.conv1d/2d/3d.
 * @throws EngineError when the shape is not legal or an array's length does not fit it.
 */
export function convNdF32(
  x: Float32Array,
  w: Float32Array,
  bias: Float32Array | null,
  shape: ConvShape,
  engine: Engine = defaultEngine(),
): Float32Array {
  const c = conv3d(shape);
  checkArrays(c, { x, w });
  if (bias !== null) checkLength("convolution", "bias", bias, c.outChannels);
  return engine.memory.scope((alloc) => {
    const grid = { batch: c.batch, channels: c.inChannels, size: c.size };
    const winograd =
      !shape.exact && takesWinograd(engine, c)
        ? winogradImage(
            engine,
            alloc,
            x,
            grid,
            map3((i) => -c.padding[i]),
            c.outSize,
          )
        : undefined;
    const image = winograd ?? imageFrom(engine, alloc, x, grid, c.padding, c.padding);
    const operands: Operands = {
      source: image.at,
      sourceChannels: c.inChannels,
      result: alloc(c.batch * c.outPixels * c.outChannels * 4),
      resultChannels: c.outChannels,
      groups: c.groups,
      bias,
      weight: copyIn(engine, alloc, w),
      ...weightStrides(c, "forward"),
    };
    if (winograd) {
      runWinograd(engine, alloc, operands, winograd, c.batch * c.outSize[0], c.outSize, false);
      return pixelsToPlanes(engine, alloc, operands.result, c.batch, c.outChannels, c.outPixels);
    }
    const product: Product = {
      rows: c.batch * c.outPixels,
      table: windowTable(engine, alloc, image, c),
      out: denseTable(engine, alloc, c.batch, c.outPixels, c.outChannels),
      taps: inputTaps(image, c),
    };
    (isDepthwise(c) ? runDepthwise : runDense)(engine, alloc, operands, product);
    return pixelsToPlanes(engine, alloc, operands.result, c.batch, c.outChannels, c.outPixels);
  });
}

/**
 * Gradient of the convolution with respect to its input: dy [batch, outChannels, ...outSize] gives
 * dx [batch, inChannels, ...size]. It is also the forward of a transposed convolution (torch
 * conv_transpose) whose input is dy and whose output has length `size`.
 * @throws EngineError when the shape is not legal or an array's length does not fit it.
 */
export function convNdBackwardInputF32(
  dy: Float32Array,
  w: Float32Array,
  shape: ConvShape,
  engine: Engine = defaultEngine(),
): Float32Array {
  const c = conv3d(shape);
  checkArrays(c, { dy, w });
  return engine.memory.scope((alloc) => {
    const operands = {
      sourceChannels: c.outChannels,
      result: alloc(c.batch * c.inPixels * c.inChannels * 4),
      resultChannels: c.inChannels,
      groups: c.groups,
      bias: null,
      weight: copyIn(engine, alloc, w),
      ...weightStrides(c, "backward"),
    };
    const grid = { batch: c.batch, channels: c.outChannels, size: c.outSize };
    if (!shape.exact && takesWinograd(engine, c)) {
      // A full correlation with the turned kernel: windows begin kernel - 1 - padding before the first pixel.
      const start = map3((i) => c.padding[i] - c.kernel[i] + 1);
      const image = winogradImage(engine, alloc, dy, grid, start, c.size);
      runWinograd(engine, alloc, { ...operands, source: image.at }, image, c.batch * c.size[0], c.size, true);
    } else {
      backwardInputByPhases(engine, alloc, operands, dy, c);
    }
    return pixelsToPlanes(engine, alloc, operands.result, c.batch, c.inChannels, c.inPixels);
  });
}
