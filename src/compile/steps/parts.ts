/**
 * Integer products: their constants placed once, their steps shared among the engine's threads.
 */

import type { PartBlock, PlacedPart } from "../../kernels/qgemm/parts.ts";
import { kernelOf, runSteps, stepsOf } from "../../kernels/qgemm/run.ts";
import type { RangeName } from "../../kernels/qgemm/run.ts";
import type { Buffer, Place } from "../plan.ts";

/** Position of the range's start among a product kernel's arguments. */
const RANGE_AT = 3;
/** Position of its scratch address. */
const SCRATCH_AT = 5;

/** Places a layer's constants (made for `engine.threads`) and returns the call that computes it; `operations` decide whether threads pay. */
export function bindParts(place: Place, block: PartBlock, input: Buffer, output: Buffer, operations: number): () => void {
  const { engine, at, constant } = place;
  // Allocating may grow the memory, which detaches views made before.
  const base = constant(block.bytes);
  const placed = block.write(new Uint8Array(engine.memory.wasm.buffer), base);
  const [source, target] = [at(input), at(output)];
  const run = (part: PlacedPart): void => {
    const steps = stepsOf(part);
    if (part.form.kind === "rows") {
      runSteps(engine.kernels, part, source, target, 0, steps);
      return;
    }
    const args: [number, number, number, number, number, number] = [
      part.descriptor, source + part.xOffset, target + part.yOffset, 0, steps, part.scratch,
    ]; // prettier-ignore
    const split = { at: RANGE_AT, unit: 1, scratch: { at: SCRATCH_AT, bytes: part.scratchBytes } };
    engine.share(kernelOf(part) as RangeName, args, split, operations / placed.length);
  };
  return () => placed.forEach(run);
}
