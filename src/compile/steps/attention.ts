/**
 * scaledDotProductAttention in float: for each matrix of the batch the scores, scaled and masked, their softmax, and the
 * product with the values, so that the scores of one matrix are all that is kept. Query, key and value are read through
 * the permutations that made them.
 */

import type { Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { ADD, MUL } from "../../kernels/f32-binary/kinds.ts";
import { ROWS_OF_NOTHING_ARE_ZERO, SOFTMAX } from "../../kernels/f32-softmax/kinds.ts";
import type { AttentionAttrs } from "../../ops/attention.ts";
import { causalMask } from "../../ops/attention.ts";
import { broadcastShapes, broadcastStrides, numel } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import { flat } from "../form.ts";
import { ELEMENT_WORK, LINES } from "../lines.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { unlimited } from "./clamps.ts";
import { constantF32, constantI32 } from "./conv.ts";
import { bindMultiply, packColumns, packedRoom, paddedColumns } from "./matrix-product.ts";
import { batchStrides, denseRowsView, offsetsOf, viewOf } from "./strided.ts";
import type { StridedView } from "./strided.ts";

const FLOAT = 4;
/** Work of a softmax for each score, in elements moved. */
const SOFTMAX_WORK = 8;

/** What is added to the scores, by axis of [...batch, L, S]. */
interface Mask {
  readonly shape: Shape;
  /** Floats in the engine, or a bool tensor on the heap, whose false ones may not be seen. */
  readonly source: Buffer | Tensor;
}

interface Attention {
  readonly batch: Shape;
  readonly views: readonly [query: StridedView, key: StridedView, value: StridedView];
  readonly buffers: readonly [query: Buffer, key: Buffer, value: Buffer];
  readonly scores: Buffer;
  readonly output: Buffer;
  readonly scale: number;
  readonly mask: Mask | null;
}

/** The mask's floats, and what brings them up to date. */
function bindMask(place: Place, { source }: Mask): { at: number; update: () => void } {
  const { engine } = place;
  if ("data" in source) {
    const floats =
      source.dtype === "bool" ? Float32Array.from(source.data, (seen) => (seen ? 0 : -Infinity)) : source.data;
    return { at: constantF32(place, floats), update: () => undefined };
  }
  if (source.element === "f32") return { at: place.at(source), update: () => undefined };
  const slot = place.host(source);
  const count = numel(source.type.shape);
  const at = place.constant(count * FLOAT);
  return {
    at,
    update() {
      const floats = engine.memory.f32(at, count);
      slot.tensor!.data.forEach((seen, i) => (floats[i] = seen ? 0 : -Infinity));
    },
  };
}

/** Adds the mask's rows for one matrix of the batch to the scores. */
function bindAdd(
  place: Place,
  mask: Mask,
  scores: number,
  batch: Shape,
  [rows, columns]: readonly [number, number],
): { update: () => void; add: (matrix: number) => void } {
  const { at, update } = bindMask(place, mask);
  const strides = broadcastStrides(mask.shape, [...batch, rows, columns]);
  const [rowStride, columnStride] = strides.slice(-2) as [number, number];
  const starts = offsetsOf(batch, strides.slice(0, -2));
  const table = (stride: number): number =>
    constantI32(
      place,
      Array.from({ length: rows }, (_, i) => i * stride * FLOAT),
    );
  const [own, other] = [table(columns), table(rowStride)];
  const each = columnStride === 0 ? 0 : 1;
  return {
    update,
    add(matrix) {
      const args = [
        0, rows, own, other, own, scores, at + starts[matrix]! * FLOAT, scores, columns, ADD, 1, each, -Infinity, Infinity,
      ] as const; // prettier-ignore
      place.engine.share("f32_binary", [...args], LINES, ELEMENT_WORK * rows * columns);
    },
  };
}

function bindAttention(place: Place, attention: Attention): () => void {
  const { engine, at } = place;
  const { batch, views, scale, mask } = attention;
  const [q, k, v] = views;
  const [rows, depth, columns, features] = [q.shape.at(-2)!, q.shape.at(-1)!, k.shape.at(-2)!, v.shape.at(-1)!];
  const inRows = (count: number, stride: number): number[] => Array.from({ length: count }, (_, i) => i * stride);
  const keys = { k: depth, n: columns, kStride: k.strides.at(-1)!, nStride: k.strides.at(-2)! };
  const values = { k: columns, n: features, kStride: v.strides.at(-2)!, nStride: v.strides.at(-1)! };
  const toScores = bindMultiply(place, {
    from: inRows(rows, q.strides.at(-2)!), to: inRows(rows, columns), k: depth, n: columns, range: unlimited,
  }); // prettier-ignore
  const toResult = bindMultiply(place, {
    from: inRows(rows, columns), to: inRows(rows, features), k: columns, n: features, range: unlimited,
  }); // prettier-ignore
  const [packedKeys, packedValues] = [packedRoom(place, keys), packedRoom(place, values)];
  const init = constantF32(place, [], paddedColumns(Math.max(columns, features)));
  const [query, key, value] = attention.buffers.map(at) as [number, number, number];
  const [scores, output] = [at(attention.scores), at(attention.output)];
  const [queries, allKeys, allValues] = views.map((view) => offsetsOf(batch, batchStrides(view, batch))) as [
    number[],
    number[],
    number[],
  ];
  const [none, factor] = [constantI32(place, [0]), constantF32(place, [scale])];
  const masking = mask && bindAdd(place, mask, scores, batch, [rows, columns]);
  const kind = mask ? ROWS_OF_NOTHING_ARE_ZERO : SOFTMAX;
  const count = rows * columns;
  return () => {
    masking?.update();
    queries.forEach((start, i) => {
      packColumns(place, keys, key + allKeys[i]! * FLOAT, packedKeys);
      toScores(query + start * FLOAT, packedKeys, init, scores);
      engine.kernels.f32_binary(
        0, 1, none, none, none, scores, factor, scores, count, MUL, 1, 0, -Infinity, Infinity,
      ); // prettier-ignore
      masking?.add(i);
      engine.share(
        "f32_softmax",
        [0, rows, columns, scores, scores, kind],
        { at: 0, unit: 1 },
        SOFTMAX_WORK * ELEMENT_WORK * count,
      );
      packColumns(place, values, value + allValues[i]! * FLOAT, packedValues);
      toResult(scores, packedValues, init, output + i * rows * features * FLOAT);
    });
  };
}

/** The causal mask, the mask given, or none. */
function maskOf(node: Node, plan: PlanBuilder, [rows, columns]: readonly [number, number]): Mask | null {
  const [, , , given] = node.args;
  if (node.attrs["isCausal"] === true) return { shape: [rows, columns], source: causalMask(rows, columns) };
  if (!(given instanceof Value)) return null;
  const { shape, dtype } = plan.type(given);
  const source = plan.constant(given) ?? plan.read(given, node, { kind: dtype === "bool" ? "host" : "flat" });
  return { shape, source };
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [query, key, value] = node.args;
  const { scale } = node.attrs as AttentionAttrs;
  if ([query, key, value].some((arg) => plan.type(arg!).dtype !== "float32"))
    return "only float32 tensors have a kernel";
  const views = [denseRowsView(query!, plan), viewOf(key!, plan), viewOf(value!, plan)] as const;
  const [q, k, v] = views;
  const buffers = views.map(({ base }) => plan.read(base, node, { kind: "flat" })) as [Buffer, Buffer, Buffer];
  const batch = views
    .map(({ shape }): Shape => shape.slice(0, -2))
    .reduce((whole, own) => broadcastShapes(node.target, whole, own));
  const sizes = [q.shape.at(-2)!, k.shape.at(-2)!] as const;
  const mask = maskOf(node, plan, sizes);
  const output = plan.write(node.output, "flat");
  const scores = plan.scratch({ dtype: "float32", shape: sizes }, flat(sizes));
  const masks = mask && !("data" in mask.source) ? [mask.source] : [];
  plan.step({
    node,
    kernel: `f32 attention ${plan.engine.build}`,
    precision: "float",
    why: "",
    operations: 2 * numel(batch) * numel(sizes) * (q.shape.at(-1)! + v.shape.at(-1)!),
    reads: [...buffers, ...masks],
    writes: [scores, output],
    bind: (place) => bindAttention(place, { batch, views, buffers, scores, output, scale, mask }),
  });
}

export const attentionRules: readonly (readonly [string, StepRule])[] = [["scaledDotProductAttention", { emit }]];
