/**
 * Permuted axes, splits, slices, expanded and flipped axes, row-major to row-major. What lies together on both sides moves
 * as one piece, so that heads of attention and gates of recurrent layers are copied whole.
 */

import type { Node } from "../../graph/graph.ts";
import type { SliceAttrs } from "../../ops/slicing.ts";
import { broadcastStrides, numel, stridesOf } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { elementBytes, elementOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";

interface Pieces {
  /** Elements that move together. */
  readonly length: number;
  /** Where each piece of the output, in order, begins in the input; in elements. */
  readonly from: Int32Array;
}

/** Pieces of a row-major result of `shape` whose numbers lie under other strides, from `offset` on. */
export function stridedPieces(shape: Shape, strides: readonly number[], offset = 0): Pieces {
  let outer = shape.length;
  let length = 1;
  while (outer > 0 && (strides[outer - 1] === length || shape[outer - 1] === 1)) length *= shape[--outer]!;
  const sizes = shape.slice(0, outer);
  const from = new Int32Array(length === 0 ? 0 : numel(sizes)).fill(offset);
  let block = 1;
  for (let axis = outer - 1; axis >= 0; axis--) {
    const [size, stride] = [sizes[axis]!, strides[axis]!];
    for (let at = 0; at < from.length; at++) from[at]! += (Math.floor(at / block) % size) * stride;
    block *= size;
  }
  return { length, from };
}

function bindPieces({ engine, at }: Place, x: Buffer, y: Buffer, { length, from }: Pieces): () => void {
  const [source, target] = [at(x), at(y)];
  const size = elementBytes(x.element);
  if (length > 1) {
    const bytes = length * size;
    return () => {
      const memory = new Uint8Array(engine.memory.wasm.buffer);
      for (let i = 0; i < from.length; i++) {
        const start = source + from[i]! * size;
        memory.copyWithin(target + i * bytes, start, start + bytes);
      }
    };
  }
  return () => {
    const memory = size === 4 ? new Uint32Array(engine.memory.wasm.buffer) : new Uint8Array(engine.memory.wasm.buffer);
    const [first, to] = [source / size, target / size];
    for (let i = 0; i < from.length; i++) memory[to + i] = memory[first + from[i]!]!;
  };
}

const NO_MEMORY = "only float32 and 8-bit values live in the engine";

/** Whether a permutation swaps the last two axes of float32 and moves no other. */
function isTranspose(shape: Shape, dims: readonly number[]): boolean {
  const rank = shape.length;
  return rank >= 2 && dims.every((axis, i) => axis === (i < rank - 2 ? i : 2 * rank - 3 - i));
}

function bindTranspose({ engine, at }: Place, x: Buffer, y: Buffer, shape: Shape): () => void {
  const [rows, columns] = shape.slice(-2) as [number, number];
  const [source, target] = [at(x), at(y)];
  const bytes = rows * columns * 4;
  const matrices = numel(shape.slice(0, -2));
  return () => {
    for (let i = 0; i < matrices; i++)
      engine.kernels.layout_transpose32(rows, columns, source + i * bytes, columns * 4, target + i * bytes, rows * 4);
  };
}

function addPermute(node: Node, plan: PlanBuilder): void {
  const [x] = node.args;
  const { shape } = plan.type(x!);
  const dims = node.attrs["dims"] as readonly number[];
  const input = plan.read(x!, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  const transposes = input.element === "f32" && isTranspose(shape, dims);
  const strides = stridesOf(shape);
  const permuted = stridedPieces(
    output.type.shape,
    dims.map((axis) => strides[axis]!),
  );
  plan.copy({
    node,
    kernel: transposes ? "transpose" : "permute",
    reads: [input],
    writes: [output],
    bind: (place) =>
      transposes ? bindTranspose(place, input, output, shape) : bindPieces(place, input, output, permuted),
  });
}

/** Products read the value where it lies (strided.ts); others have it made. */
function emitPermute(node: Node, plan: PlanBuilder): string | void {
  if (elementOf(plan.type(node.args[0]!).dtype) === "host") return NO_MEMORY;
  plan.makeOnDemand(node.output, () => addPermute(node, plan));
}

function emitSplit(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  const { dtype, shape } = plan.type(x!);
  if (elementOf(dtype) === "host") return NO_MEMORY;
  const { sizes, dim } = node.attrs as { readonly sizes: readonly number[]; readonly dim: number };
  const input = plan.read(x!, node, { kind: "flat" });
  const outputs = node.outputs.map((value) => plan.write(value, "flat"));
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
  plan.copy({
    node,
    kernel: "copy pieces",
    reads: [input],
    writes: outputs,
    bind(place) {
      const copies = outputs.map((output, i) =>
        bindPieces(
          place,
          input,
          output,
          stridedPieces(output.type.shape, stridesOf(shape), starts[i]! * stridesOf(shape)[dim]!),
        ),
      );
      return () => copies.forEach((copy) => copy());
    },
  });
}

/** How the result's axes walk the numbers of an operand of `shape`. */
type Walk = (
  node: Node,
  shape: Shape,
  result: Shape,
) => { readonly strides: readonly number[]; readonly offset: number };

function emitWalk(walk: Walk): StepRule["emit"] {
  return (node, plan) => {
    const { dtype, shape } = plan.type(node.args[0]!);
    if (elementOf(dtype) === "host") return NO_MEMORY;
    const input = plan.read(node.args[0]!, node, { kind: "flat" });
    const output = plan.write(node.output, "flat");
    const { strides, offset } = walk(node, shape, output.type.shape);
    const pieces = stridedPieces(output.type.shape, strides, offset);
    plan.copy({
      node,
      kernel: "copy pieces",
      reads: [input],
      writes: [output],
      bind: (place) => bindPieces(place, input, output, pieces),
    });
  };
}

/** slice of row-major values, whatever their rank and step. */
export const emitFlatSlice = emitWalk(({ attrs }, shape) => {
  const { dim, start, step } = attrs as SliceAttrs;
  const strides = stridesOf(shape);
  const offset = start * strides[dim]!;
  return { strides: strides.map((stride, axis) => (axis === dim ? stride * step : stride)), offset };
});

const emitExpand = emitWalk((_, shape, result) => ({ strides: broadcastStrides(shape, result), offset: 0 }));

const emitFlip = emitWalk(({ attrs }, shape) => {
  const dims = attrs["dims"] as readonly number[];
  const strides = stridesOf(shape);
  return {
    strides: strides.map((stride, axis) => (dims.includes(axis) ? -stride : stride)),
    offset: dims.reduce((sum, axis) => sum + strides[axis]! * (shape[axis]! - 1), 0),
  };
});

export const pieceRules: readonly (readonly [string, StepRule])[] = [
  ["expand", { emit: emitExpand }],
  ["flip", { emit: emitFlip }],
  ["permute", { emit: emitPermute }],
  ["split", { emit: emitSplit }],
];
