/**
 * Operators that move pixels: slice, pad with zeros, and cat, on images.
 *
 * All are rectangles of pieces (some channels of a pixel) copied from one image to another. A padded image is
 * filled first; a concatenation of bytes goes through each input's own requantizing table.
 */

import type { Node } from "../../graph/graph.ts";
import { pixelOffset, rowStride } from "../../kernels/qconv/image.ts";
import type { Image } from "../../kernels/qconv/image.ts";
import { requantizeTable } from "../../kernels/qlut/reference.ts";
import { numel } from "../../tensor/shape.ts";
import { elementBytes, elementOf, imageOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { emitJoin } from "./join.ts";
import { emitFlatPad } from "./pad.ts";
import { emitFlatSlice } from "./pieces.ts";
import { dequantizerOf, quantizerOf } from "./quantized-storage.ts";

/** Where a rectangle begins in an image, axis by axis, and how far apart the pixels taken are. */
export interface Corner {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly steps: readonly [n: number, h: number, w: number];
}

export const origin: Corner = { n: 0, c: 0, h: 0, w: 0, steps: [1, 1, 1] };

/** Images in a rectangle, its rows, its pixels and channels. */
interface Extent {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
}

/** Copies `extent` from a corner of one image to a corner of the other, by one kernel call an image. */
export function bindCopy(
  place: Place,
  from: Buffer,
  fromCorner: Corner,
  to: Buffer,
  toCorner: Corner,
  extent: Extent,
): () => void {
  const { engine, at } = place;
  const size = elementBytes(from.element);
  const address = (base: number, image: Image, corner: Corner, n: number): number =>
    base + (pixelOffset(image, corner.n + n * corner.steps[0], corner.h, corner.w) + corner.c) * size;
  const strides = (image: Image, { steps }: Corner): [number, number] => [
    rowStride(image) * steps[1] * size,
    image.c * steps[2] * size,
  ];
  const [sRow, sPiece] = strides(from.image, fromCorner);
  const [dRow, dPiece] = strides(to.image, toCorner);
  const [source, target] = [at(from), at(to)];
  const calls = Array.from(
    { length: extent.n },
    (_, n) => [address(source, from.image, fromCorner, n), address(target, to.image, toCorner, n)] as const,
  );
  return () => {
    for (const [s, d] of calls)
      engine.kernels.copy_pieces(extent.h, extent.w, extent.c * size, s, sRow, sPiece, d, dRow, dPiece);
  };
}

/** Two images of one element, or why this node is not about them. */
function imagesOf(node: Node, plan: PlanBuilder): string | null {
  const types = [...node.args.map((arg) => plan.type(arg)), plan.type(node.output)];
  if (types.some(({ shape }) => !imageOf(shape))) return "only tensors of rank 3 and 4 have a kernel";
  if (types.some(({ dtype }) => elementOf(dtype) === "host")) return "only float32 and 8-bit tensors have a kernel";
  return node.args.some((arg) => plan.constant(arg)) ? "an input is a stored tensor" : null;
}

/** The axis of an image a tensor's axis is. */
function axisName(rank: number, dim: number): "n" | "c" | "h" | "w" {
  const names = rank === 4 ? (["n", "c", "h", "w"] as const) : (["n", "c", "w"] as const);
  return names[dim]!;
}

/** Where a slice of a tensor of this rank begins in its image, and its steps; a string says why there is no kernel. */
export function sliceCorner(rank: number, node: Node): Corner | string {
  const { dim, start, step } = node.attrs as { dim: number; start: number; step: number };
  const axis = axisName(rank, dim);
  if (step < 1 || (axis === "c" && step !== 1)) return "channels can only be sliced one by one, and nothing backwards";
  const steps = (["n", "h", "w"] as const).map((name) => (name === axis ? step : 1)) as [number, number, number];
  return { ...origin, [axis]: start, steps };
}

/** Where the values begin in an image padded with zeros; a string says why there is no kernel. */
export function padCorner(rank: number, node: Node): Corner | string {
  const { padding, mode, value = 0 } = node.attrs as { padding: readonly number[]; mode: string; value?: number };
  if (mode !== "constant" || value !== 0 || padding.some((p) => p < 0)) return "only padding with zeros has a kernel";
  const corner: Record<"n" | "c" | "h" | "w", number> = { n: 0, c: 0, h: 0, w: 0 };
  for (let i = 0; i * 2 < padding.length; i++) corner[axisName(rank, rank - 1 - i)] = padding[i * 2]!;
  return { ...corner, steps: origin.steps };
}

/** Whether a value is made as an image because one is read, or because that is how operands lie. */
function isWantedAsImage(node: Node, plan: PlanBuilder): boolean {
  return plan.isReadAsImage(node.output) || node.args.some((arg) => plan.liesAsImage(arg));
}

function emitSlice(node: Node, plan: PlanBuilder): string | void {
  if (imagesOf(node, plan) || !isWantedAsImage(node, plan)) return emitFlatSlice(node, plan);
  const corner = sliceCorner(plan.type(node.output).shape.length, node);
  if (typeof corner === "string") return emitFlatSlice(node, plan);
  const input = plan.read(node.args[0]!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  plan.copy({
    node,
    kernel: "copy pieces",
    reads: [input],
    writes: [output],
    bind: (place) => bindCopy(place, input, corner, output, origin, output.image),
  });
}

/** Fills the inside of an image with one value. */
export function bindFill({ engine, at }: Place, buffer: Buffer, value: number): () => void {
  const { image } = buffer;
  const size = elementBytes(buffer.element);
  const base = at(buffer);
  const rows: number[] = [];
  for (let n = 0; n < image.n; n++)
    for (let y = 0; y < image.h; y++) rows.push(base + pixelOffset(image, n, y, 0) * size);
  const count = image.w * image.c;
  return () => {
    for (const row of rows) engine.kernels.fill_bytes(row, value, count * size);
  };
}

function emitPad(node: Node, plan: PlanBuilder): string | void {
  const corner = padCorner(plan.type(node.output).shape.length, node);
  if (typeof corner === "string" || imagesOf(node, plan) || !isWantedAsImage(node, plan))
    return emitFlatPad(node, plan);
  const input = plan.read(node.args[0]!, node, { kind: "image" });
  const output = plan.write(node.output, "image");
  plan.copy({
    node,
    kernel: "fill, copy pieces",
    reads: [input],
    writes: [output],
    bind(place) {
      const fill = bindFill(place, output, output.borderValue);
      const copy = bindCopy(place, input, origin, output, corner, input.image);
      return () => {
        fill();
        copy();
      };
    },
  });
}

/** Bytes of one input into its channels of the output, through the table that changes scale and zero point. */
function bindRequantize(
  place: Place,
  node: Node,
  from: Buffer,
  to: Buffer,
  channel: number,
  flip: 0 | 0x80,
): () => void {
  const { engine, at, constant } = place;
  const quantizer = quantizerOf(to.type, flip, "addThenRound", { relu: node.attrs["relu"] === true });
  const table = constant(256);
  engine.memory.u8(table, 256).set(requantizeTable(dequantizerOf(from.type, flip, false), quantizer));
  const { n: images, h, w, c } = from.image;
  const [source, target] = [at(from), at(to)];
  const calls: [number, number][] = [];
  for (let n = 0; n < images; n++) {
    for (let y = 0; y < h; y++)
      calls.push([source + pixelOffset(from.image, n, y, 0), target + pixelOffset(to.image, n, y, 0) + channel]);
  }
  return () => {
    for (const [s, d] of calls) engine.kernels.qlut_rows(w, c, s, c, d, to.image.c, table);
  };
}

/** Channels of images pixel by pixel; anything else row by row. */
function emitCat(node: Node, plan: PlanBuilder): string | void {
  if (imagesOf(node, plan) !== null || node.attrs["dim"] !== 1 || !isWantedAsImage(node, plan))
    return emitJoin(node, plan);
  const type = plan.type(node.output);
  if (node.args.some((arg) => plan.type(arg).dtype !== type.dtype)) return "the inputs differ in dtype";
  const inputs = node.args.map((arg) => plan.read(arg, node, { kind: "image" }));
  const output = plan.write(node.output, "image");
  const bytes = output.element === "byte";
  plan.step({
    node,
    kernel: bytes ? "table of 256 into channels" : "copy pieces",
    precision: bytes ? "int8" : "copy",
    why: "",
    operations: bytes ? numel(type.shape) : 0,
    reads: inputs,
    writes: [output],
    bind(place) {
      let channel = 0;
      const copies = inputs.map((input) => {
        const first = channel;
        channel += input.image.c;
        if (bytes) return bindRequantize(place, node, input, output, first, plan.flip);
        return bindCopy(place, input, origin, output, { ...origin, c: first }, input.image);
      });
      return () => copies.forEach((copy) => copy());
    },
  });
}

export const moveRules: readonly (readonly [string, StepRule])[] = [
  ["slice", { emit: emitSlice }],
  ["pad", { emit: emitPad }],
  ["cat", { emit: emitCat }],
  ["quantizedCat", { emit: emitCat }],
];
