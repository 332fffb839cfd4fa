/**
 * Permuted axes and splits, row-major to row-major. What lies together on both sides moves as one piece, so that heads
 * of attention and gates of recurrent layers are copied whole.
 */

import type { Node } from "../../graph/graph.ts";
import { numel } from "../../tensor/shape.ts";
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

/** Pieces of a permutation: output axis i is input axis dims[i]. */
export function permutedPieces(shape: Shape, dims: readonly number[]): Pieces {
  let kept = dims.length;
  while (kept > 0 && dims[kept - 1] === kept - 1) kept--;
  const length = numel(shape.slice(kept));
  const strides = shape.map((_, axis) => numel(shape.slice(axis + 1)));
  const sizes = dims.slice(0, kept).map((axis) => shape[axis]!);
  const from = new Int32Array(numel(sizes));
  let block = 1;
  for (let i = kept - 1; i >= 0; i--) {
    const [size, stride] = [sizes[i]!, strides[dims[i]!]!];
    for (let at = 0; at < from.length; at++) from[at]! += (Math.floor(at / block) % size) * stride;
    block *= size;
  }
  return { length, from };
}

/** Pieces of `size` slices along an axis, beginning at `start`. */
function slicedPieces(shape: Shape, dim: number, start: number, size: number): Pieces {
  const inner = numel(shape.slice(dim + 1));
  const row = shape[dim]! * inner;
  const from = Int32Array.from({ length: numel(shape.slice(0, dim)) }, (_, i) => i * row + start * inner);
  return { length: size * inner, from };
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

function emitPermute(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  const { dtype, shape } = plan.type(x!);
  if (elementOf(dtype) === "host") return NO_MEMORY;
  const input = plan.read(x!, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  const pieces = permutedPieces(shape, node.attrs["dims"] as readonly number[]);
  plan.step({
    node,
    kernel: "permute",
    precision: "copy",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bindPieces(place, input, output, pieces),
  });
}

function emitSplit(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  const { dtype, shape } = plan.type(x!);
  if (elementOf(dtype) === "host") return NO_MEMORY;
  const { sizes, dim } = node.attrs as { readonly sizes: readonly number[]; readonly dim: number };
  const input = plan.read(x!, node, { kind: "flat" });
  const outputs = node.outputs.map((value) => plan.write(value, "flat"));
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
  plan.step({
    node,
    kernel: "copy pieces",
    precision: "copy",
    why: "",
    operations: 0,
    reads: [input],
    writes: outputs,
    bind(place) {
      const copies = outputs.map((output, i) =>
        bindPieces(place, input, output, slicedPieces(shape, dim, starts[i]!, sizes[i]!)),
      );
      return () => copies.forEach((copy) => copy());
    },
  });
}

export const pieceRules: readonly (readonly [string, StepRule])[] = [
  ["permute", { emit: emitPermute }],
  ["split", { emit: emitSplit }],
];
