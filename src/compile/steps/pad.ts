/**
 * pad of row-major values, in every mode: each number is copied from where the operator's own tables say, or filled in.
 */

import type { Node } from "../../graph/graph.ts";
import { forEachPaddedRow, sourceTables } from "../../ops/pad.ts";
import type { PadAttrs } from "../../ops/pad.ts";
import { numel } from "../../tensor/shape.ts";
import { elementOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder } from "../plan.ts";

/** Where each number of the result lies in the operand; -1 where there is none. */
function sourcesOf(from: readonly number[], to: readonly number[], attrs: PadAttrs): Int32Array {
  const sources = new Int32Array(numel(to)).fill(-1);
  const tables = sourceTables(from, to, attrs);
  forEachPaddedRow(to, tables, (at, base) => {
    if (base >= 0) tables.at(-1)!.forEach((offset, i) => (sources[at + i] = offset < 0 ? -1 : base + offset));
  });
  return sources;
}

/** `fill` is an element as it is stored. */
function bindPad({ engine, at }: Place, x: Buffer, y: Buffer, sources: Int32Array, fill: number): () => void {
  const [source, target] = [at(x), at(y)];
  return () => {
    const { buffer } = engine.memory.wasm;
    const isFloat = x.element === "f32";
    const memory = isFloat ? new Float32Array(buffer) : new Uint8Array(buffer);
    const [first, to] = isFloat ? [source / 4, target / 4] : [source, target];
    for (let i = 0; i < sources.length; i++) memory[to + i] = sources[i]! < 0 ? fill : memory[first + sources[i]!]!;
  };
}

export function emitFlatPad(node: Node, plan: PlanBuilder): string | void {
  const { dtype, shape } = plan.type(node.args[0]!);
  if (elementOf(dtype) === "host" || shape.length === 0)
    return "only float32 and 8-bit tensors with axes have a kernel";
  const attrs = node.attrs as PadAttrs;
  const x = plan.read(node.args[0]!, node, { kind: "flat" });
  const y = plan.write(node.output, "flat");
  const fill = x.element === "f32" ? attrs.value : y.borderValue;
  plan.copy({
    node,
    kernel: "pad",
    reads: [x],
    writes: [y],
    bind: (place) => bindPad(place, x, y, sourcesOf(shape, y.type.shape, attrs), fill),
  });
}
