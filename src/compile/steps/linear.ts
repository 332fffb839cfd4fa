/**
 * linear in float → the packed matrix product; one row takes the vector form. A stored weight is packed when the plan is
 * bound, a computed one in each run.
 */

import type { Argument, Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { numel } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { constantF32 } from "./conv.ts";
import { bindMultiply, packColumns, packedRoom, paddedColumns } from "./matrix-product.ts";
import type { Columns, Rows } from "./matrix-product.ts";
import { denseRowsView, offsetsOf } from "./strided.ts";

const FLOAT = 4;

interface Operands {
  readonly x: Buffer;
  readonly y: Buffer;
  /** Stored, or computed. */
  readonly weight: Tensor | Buffer;
  readonly bias: Tensor | Buffer | null;
}

/** The packed weight of a run; a stored one is packed at once. */
function bindWeight(place: Place, weight: Tensor | Buffer, columns: Columns): { packed: number; repack: () => void } {
  const packed = packedRoom(place, columns);
  if (!("data" in weight)) {
    const source = place.at(weight);
    return { packed, repack: () => packColumns(place, columns, source, packed) };
  }
  place.engine.memory.scope((alloc) => {
    const source = alloc(weight.numel * FLOAT);
    place.engine.memory.f32(source, weight.numel).set(weight.data);
    packColumns(place, columns, source, packed);
  });
  return { packed, repack: () => undefined };
}

function bindLinear(place: Place, rows: Rows, columns: Columns, { x, y, weight, bias }: Operands): () => void {
  const { engine, at } = place;
  const { n } = rows;
  const multiply = bindMultiply(place, rows);
  const { packed, repack } = bindWeight(place, weight, columns);
  const init = constantF32(place, bias && "data" in bias ? bias.data : [], paddedColumns(n));
  const computed = bias && !("data" in bias) ? at(bias) : null;
  const [source, target] = [at(x), at(y)];
  return () => {
    repack();
    if (computed !== null) engine.memory.f32(init, n).set(engine.memory.f32(computed, n));
    multiply(source, packed, init, target);
  };
}

/** Adds the step of a linear layer of float32 x with a weight [out, in] that is stored or computed. */
export function emitProduct(node: Node, plan: PlanBuilder, x: Argument, w: Tensor | Value, b: Argument): void {
  const [n, k] = (w instanceof Value ? plan.type(w) : w).shape as [number, number];
  const view = denseRowsView(x, plan);
  const input = plan.read(view.base, node, { kind: "flat" });
  const weight = w instanceof Value ? (plan.constant(w) ?? plan.read(w, node, { kind: "flat" })) : w;
  const bias = b instanceof Value ? (plan.constant(b) ?? plan.read(b, node, { kind: "flat" })) : null;
  const { output: value, range } = plan.absorbClamp(node);
  const output = plan.write(value, "flat");
  const from = offsetsOf(view.shape.slice(0, -1), view.strides.slice(0, -1));
  const rows = { from, to: from.map((_, i) => i * n), k, n, range };
  const columns = { k, n, kStride: 1, nStride: k };
  const computed = [weight, bias].filter((operand): operand is Buffer => operand !== null && !("data" in operand));
  plan.step({
    node,
    kernel: `f32 gemm ${from.length === 1 ? "1x48" : "6x8"} ${plan.engine.build}`,
    precision: "float",
    why: "",
    operations: 2 * numel(output.type.shape) * k,
    reads: [input, ...computed],
    writes: [output],
    bind: (place) => bindLinear(place, rows, columns, { x: input, y: output, weight, bias }),
  });
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  if (plan.type(x!).dtype !== "float32") return "only float32 linear layers have a kernel";
  emitProduct(node, plan, x!, w as Value, b ?? null);
}

export const linearRules: readonly (readonly [string, StepRule])[] = [["linear", { emit }]];
