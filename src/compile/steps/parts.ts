/**
 * Integer products: their constants placed once, their steps shared among the engine's threads.
 */

import type { Form, PartBlock, PlacedPart } from "../../kernels/qgemm/parts.ts";
import { rangeKernel, rowsCalls, stepsOf } from "../../kernels/qgemm/run.ts";
import type { Buffer } from "../buffer.ts";
import type { Place } from "../plan.ts";

/** Position of the range's start among a product kernel's arguments. */
const RANGE_AT = 3;
/** Position of its scratch address. */
const SCRATCH_AT = 5;
/** Position of the first row among a sliding depthwise kernel's arguments. */
const ROWS_AT = 1;

/** Places a layer's constants; `other` is the address of a sum's second operand. */
export function placeParts({ engine, constant }: Place, block: PartBlock, other = 0): readonly PlacedPart[] {
  // Allocating may grow the memory, which detaches views made before.
  const base = constant(block.bytes);
  return block.write(new Uint8Array(engine.memory.wasm.buffer), base, other);
}

/** The call that computes placed parts from the bytes at `source` to `target`. */
export function runPlaced(
  place: Place,
  placed: readonly PlacedPart[],
  source: number,
  target: number,
  operations: number,
): () => void {
  const work = operations / placed.length;
  const runs = placed.map((part) =>
    part.form.kind === "rows"
      ? runRows(place, part, part.form, source, target, work)
      : runRange(place, part, source, target, work),
  );
  return () => runs.forEach((run) => run());
}

/**
 * Places a layer's constants (made for `engine.threads`) and returns the call that computes it; `operations` decide
 * whether threads pay, `other` is the second operand of a sum.
 */
export function bindParts(
  place: Place,
  block: PartBlock,
  input: Buffer,
  output: Buffer,
  operations: number,
  other: Buffer | null = null,
): () => void {
  const { at } = place;
  return runPlaced(place, placeParts(place, block, other ? at(other) : 0), at(input), at(output), operations);
}

function runRange({ engine }: Place, part: PlacedPart, source: number, target: number, operations: number): () => void {
  const args: [number, number, number, number, number, number] = [
    part.descriptor, source + part.xOffset, target + part.yOffset, 0, stepsOf(part), part.scratch,
  ]; // prettier-ignore
  const split = { at: RANGE_AT, unit: 1, scratch: { at: SCRATCH_AT, bytes: part.scratchBytes } };
  return () => engine.share(rangeKernel(part), args, split, operations);
}

/** Sliding depthwise kernels: one call an image, shared by pairs of rows. */
function runRows(
  { engine }: Place,
  part: PlacedPart,
  { kernel, geometry }: Extract<Form, { readonly kind: "rows" }>,
  source: number,
  target: number,
  operations: number,
): () => void {
  const calls = rowsCalls(part, geometry, source, target);
  const split = { at: ROWS_AT, unit: 2 };
  return () => {
    for (const call of calls) engine.share(kernel, call, split, operations / calls.length);
  };
}
