/**
 * Gradients of pools. The gradient of a max pool is recorded as a scatter by indices; here the maximum is looked for
 * again, so indices are never made.
 */

import type { Node } from "../../../graph/graph.ts";
import { Value } from "../../../graph/graph.ts";
import { imageStride, pixelOffset, rowStride } from "../../../kernels/qconv/image.ts";
import type { Image } from "../../../kernels/qconv/image.ts";
import type { AdaptiveAttrs, AvgPoolAttrs } from "../../../ops/avg-pool.ts";
import type { PoolAttrs } from "../../../ops/pool-windows.ts";
import type { Shape } from "../../../tensor/shape.ts";
import { imageOf } from "../../form.ts";
import type { Buffer } from "../../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../../plan.ts";
import { both, equalWindows } from "../../steps/pool.ts";

const FLOAT = 4;

/** Clears the inside of an image, row by row. */
function bindClear({ engine, at }: Place, buffer: Buffer): () => void {
  const { image } = buffer;
  const base = at(buffer);
  const rows = Array.from(
    { length: image.n * image.h },
    (_, i) => base + pixelOffset(image, Math.floor(i / image.h), i % image.h, 0) * FLOAT,
  );
  const count = image.w * image.c;
  return () => {
    for (const row of rows) engine.kernels.fill_f32(row, 0, count);
  };
}

/** Address of the first pixel, and the strides kernels take. */
function placed({ at }: Place, buffer: Buffer): readonly [address: number, image: number, row: number] {
  const { image } = buffer;
  const address = at(buffer) + pixelOffset(image, 0, 0, 0) * FLOAT;
  return [address, imageStride(image) * FLOAT, rowStride(image) * FLOAT];
}

/** Windows that all have one size: what an adaptive pool's are when sizes divide. */
function adaptiveAttrs(input: Image, { outputSize }: AdaptiveAttrs): AvgPoolAttrs | null {
  const [h, w] = both(outputSize, 1);
  if (input.h % h !== 0 || input.w % w !== 0) return null;
  return equalWindows([input.h / h, input.w / w]);
}

function bindAverage(place: Place, attrs: AvgPoolAttrs, gradient: Buffer, output: Buffer): () => void {
  const [x, y] = [output.image, gradient.image];
  const clear = bindClear(place, output);
  const [dx, xImage, xRow] = placed(place, output);
  const [dy, yImage, yRow] = placed(place, gradient);
  const [kernel, stride, padding] = [both(attrs.kernelSize, 1), both(attrs.stride, 1), both(attrs.padding, 0)];
  return () => {
    clear();
    place.engine.kernels.f32_avg_pool_grad(
      y.n * y.h, y.h, y.w, dx, xImage, xRow, x.h, x.w, x.c, kernel[0], kernel[1], stride[0], stride[1],
      padding[0], padding[1], attrs.countIncludePad ? 1 : 0, attrs.divisorOverride ?? 0, dy, yImage, yRow,
    ); // prettier-ignore
  };
}

function emitAverage(node: Node, plan: PlanBuilder): string | void {
  const { pool } = node.attrs as unknown as { pool: AvgPoolAttrs | AdaptiveAttrs };
  const image = imageOf(plan.type(node.output).shape);
  if (!image || plan.type(node.output).dtype !== "float32") return "there is no kernel for three spatial axes";
  const attrs = "outputSize" in pool ? adaptiveAttrs(image, pool) : pool;
  if (!attrs) return "windows of different sizes have no kernel";
  const gradient = plan.read(node.args[0]!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  plan.step({
    node,
    kernel: "f32 average pool gradient",
    precision: "float",
    why: "",
    operations: 0,
    reads: [gradient],
    writes: [output],
    bind: (place) => bindAverage(place, attrs, gradient, output),
  });
}

const INDICES = /^maxPool[12]dIndices$/;

/** The node that made the indices, if they are a max pool's and nothing but scatters reads them. */
function maxPoolOf(index: unknown): Node | null {
  if (!(index instanceof Value) || !INDICES.test(index.node.target)) return null;
  return index.node.outputs[0]!.users.every(({ target }) => target === "planeScatter") ? index.node : null;
}

function bindMax(place: Place, attrs: PoolAttrs, x: Buffer, gradient: Buffer, output: Buffer): () => void {
  const y = gradient.image;
  const clear = bindClear(place, output);
  const [source, xImage, xRow] = placed(place, x);
  const [dx] = placed(place, output);
  const [dy, yImage, yRow] = placed(place, gradient);
  const [kernel, stride, padding, dilation] = [
    both(attrs.kernelSize, 1),
    both(attrs.stride, 1),
    both(attrs.padding, 0),
    both(attrs.dilation, 1),
  ];
  return () => {
    clear();
    place.engine.kernels.f32_max_pool_grad(
      y.n * y.h, y.h, y.w, source, dx, xImage, xRow, x.image.h, x.image.w, x.image.c, kernel[0], kernel[1],
      stride[0], stride[1], padding[0], padding[1], dilation[0], dilation[1], dy, yImage, yRow,
    ); // prettier-ignore
  };
}

function emitScatter(node: Node, plan: PlanBuilder): string | void {
  const [dy, index] = node.args;
  const pool = maxPoolOf(index);
  const { shape } = node.attrs as unknown as { shape: Shape };
  if (!pool || !imageOf(shape) || plan.type(dy!).dtype !== "float32")
    return "only the gradient of a max pool of images has a kernel";
  const gradient = plan.read(dy!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  // The kernel takes one set of strides for x and dx.
  const x = plan.read(pool.args[0]!, node, { kind: "image", border: output.image.border });
  const sameStrides =
    imageStride(x.image) === imageStride(output.image) && rowStride(x.image) === rowStride(output.image);
  const target = sameStrides ? output : plan.scratch(output.type, x.form);
  plan.step({
    node,
    kernel: "f32 max pool gradient",
    precision: "float",
    why: "",
    operations: 0,
    reads: [x, gradient],
    writes: [target],
    bind: (place) => bindMax(place, pool.attrs as PoolAttrs, x, gradient, target),
  });
  if (!sameStrides) plan.change(node, target, output);
}

/** Indices that only kernels would read are not made. */
function emitIndices(node: Node): string | void {
  return maxPoolOf(node.output) ? undefined : "the engine has no kernel for indices";
}

export const poolRules: readonly (readonly [string, StepRule])[] = [
  ...["avgPool1dGrad", "avgPool2dGrad", "adaptiveAvgPool1dGrad", "adaptiveAvgPool2dGrad"].map(
    (name) => [name, { emit: emitAverage }] as const,
  ),
  ["planeScatter", { emit: emitScatter }],
  ["maxPool1dIndices", { emit: emitIndices }],
  ["maxPool2dIndices", { emit: emitIndices }],
];
