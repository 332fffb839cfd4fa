/**
 * quantizedSoftmax over the last axis and quantizedLayerNorm → the row kernels, on row-major bytes.
 */

import type { Node } from "../../graph/graph.ts";
import { N_BYTES } from "../../kernels/qnorm/layout.ts";
import { exponentialTable, writeLayerNorm, writeSoftmax } from "../../kernels/qnorm/records.ts";
import type { Rows } from "../../kernels/qnorm/records.ts";
import { ruleCode } from "../../kernels/quantize/rules.ts";
import { blockEnd } from "../../ops/quantized/requantize.ts";
import { numel } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { elementOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { constantRecord, dequantizerOf, quantizerOf } from "./quantized-storage.ts";

const FLOAT = 4;

function rowsOf(shape: Shape, length: number): Rows {
  return { rows: length === 0 ? 0 : numel(shape) / length, length, xStride: length, yStride: length };
}

/** Reads and writes rows, and adds the step that `bind` makes. */
function addRows(
  node: Node,
  plan: PlanBuilder,
  kernel: string,
  bind: (place: Place, x: Buffer, y: Buffer) => () => void,
): string | void {
  const [x] = node.args;
  if (elementOf(plan.type(x!).dtype) !== "byte") return "only 8-bit tensors have a kernel";
  const input = plan.read(x!, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  plan.step({
    node,
    kernel,
    precision: "int8",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bind(place, input, output),
  });
}

function bindSoftmax(place: Place, x: Buffer, y: Buffer, flip: 0 | 0x80): () => void {
  const { engine, at, constant } = place;
  const input = dequantizerOf(x.type, flip, false);
  const table = exponentialTable(input);
  const exponentials = constant(table.byteLength);
  engine.memory.f32(exponentials, table.length).set(table);
  const output = quantizerOf(y.type, flip, "addThenRound");
  const rows = rowsOf(x.type.shape, x.type.shape.at(-1) ?? 1);
  const record = constantRecord(place, N_BYTES, (view, base) =>
    writeSoftmax(view, base, rows, input, output, exponentials),
  );
  const [source, target] = [at(x), at(y)];
  return () => engine.kernels.qsoftmax_rows(ruleCode(output.rule), record, source, target);
}

function emitSoftmax(node: Node, plan: PlanBuilder): string | void {
  const rank = plan.type(node.args[0]!).shape.length;
  if (Number(node.attrs["dim"]) !== rank - 1) return "only softmax over the last axis has an integer kernel";
  return addRows(node, plan, "qsoftmax", (place, x, y) => bindSoftmax(place, x, y, plan.flip));
}

interface Affine {
  readonly weight: Tensor | null;
  readonly bias: Tensor | null;
}

function bindLayerNorm(
  place: Place,
  node: Node,
  x: Buffer,
  y: Buffer,
  { weight, bias }: Affine,
  flip: 0 | 0x80,
): () => void {
  const { engine, at, constant } = place;
  const length = numel(node.attrs["normalizedShape"] as Shape);
  const floats = (values: Tensor | null, missing: number): number => {
    const address = constant(length * FLOAT);
    const target = engine.memory.f32(address, length);
    if (values) target.set(values.data);
    else target.fill(missing);
    return address;
  };
  const norm = {
    eps: Number(node.attrs["eps"]),
    weight: floats(weight, 1),
    bias: floats(bias, 0),
    split: blockEnd(length),
    first: quantizerOf(y.type, flip, "roundThenAdd"),
    second: quantizerOf(y.type, flip, "addThenRound"),
  };
  const rows = rowsOf(x.type.shape, length);
  const record = constantRecord(place, N_BYTES, (view, base) =>
    writeLayerNorm(view, base, rows, dequantizerOf(x.type, flip, false), norm),
  );
  const [source, target] = [at(x), at(y)];
  return () =>
    engine.kernels.qlayernorm_rows(ruleCode("roundThenAdd"), ruleCode("addThenRound"), record, source, target);
}

function emitLayerNorm(node: Node, plan: PlanBuilder): string | void {
  const [, w, b] = node.args;
  const affine = { weight: plan.constant(w ?? null), bias: plan.constant(b ?? null) };
  if ((w && !affine.weight) || (b && !affine.bias)) return "weight or bias is not a stored tensor";
  return addRows(node, plan, "qlayernorm", (place, x, y) => bindLayerNorm(place, node, x, y, affine, plan.flip));
}

export const quantizedNormRules: readonly (readonly [string, StepRule])[] = [
  ["quantizedSoftmax", { emit: emitSoftmax }],
  ["quantizedLayerNorm", { emit: emitLayerNorm }],
];
