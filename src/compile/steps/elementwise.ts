/**
 * Float elementwise operators: sums and products of two tensors of one shape, clamps, and smooth activations.
 */

import type { Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { rowBlocks } from "../rows.ts";
import type { RowBlock } from "../rows.ts";
import { clampOf, clampTargets, unlimited } from "./clamps.ts";
import { constantI32 } from "./conv.ts";
import { tableRule } from "./quantized-elementwise.ts";

/** Addresses of the line tables of each buffer, how many lines, and their length in elements. */
export interface Lines {
  readonly count: number;
  readonly length: number;
  readonly tables: readonly number[];
}

/** Elementwise kernels are shared among threads by lines. */
const LINES = { at: 0, unit: 1 };
/** What an element costs, in the multiplications and additions of a product that take as long. */
const ELEMENT_WORK = 8;

/** All rows of all blocks as one table of byte offsets a buffer. */
export function linesOf(place: Place, buffers: readonly Buffer[]): Lines {
  const blocks = rowBlocks(buffers);
  const offsets = (which: number): number[] =>
    blocks.flatMap(({ rows, offsets: starts, strides }: RowBlock) =>
      Array.from({ length: rows }, (_, row) => starts[which]! + row * strides[which]!),
    );
  const tables = buffers.map((_, which) => constantI32(place, offsets(which)));
  return { count: blocks.reduce((sum, { rows }) => sum + rows, 0), length: blocks[0]?.count ?? 0, tables };
}

function areFloat(node: Node, plan: PlanBuilder): boolean {
  return node.args.every((arg) => arg instanceof Value && plan.type(arg).dtype === "float32" && !plan.constant(arg));
}

function pairRule(product: boolean): StepRule {
  return {
    emit(node, plan) {
      const [a, b] = node.args;
      if (!areFloat(node, plan)) return "only sums and products of two computed float32 tensors have a kernel";
      if (!sameShape(plan.type(a!).shape, plan.type(b!).shape))
        return "the shapes differ and would have to be broadcast";
      const { output: value, range } = plan.absorbClamp(node);
      const left = plan.read(a!, node, plan.isReadAsImage(value) ? { kind: "image" } : { kind: "any" });
      const right = plan.read(b!, node, { kind: left.form.kind });
      const output = plan.write(value, left.form.kind);
      plan.step({
        node,
        kernel: product ? "f32 mul" : "f32 add",
        precision: "float",
        why: "",
        operations: numel(output.type.shape),
        reads: [left, right],
        writes: [output],
        bind(place) {
          const { count, length, tables: [ta, tb, ty] } = linesOf(place, [left, right, output]); // prettier-ignore
          const [pa, pb, py] = [place.at(left), place.at(right), place.at(output)];
          const { engine } = place;
          const work = count * length * ELEMENT_WORK;
          const { low, high } = range;
          if (product) {
            return () => engine.share("f32_mul", [0, count, ta!, tb!, ty!, pa, pb, py, length, low, high], LINES, work);
          }
          return () =>
            engine.share("f32_add", [0, count, ta!, tb!, ty!, pa, pb, py, length, 1, low, high], LINES, work);
        },
      });
    },
  };
}

function emitClamp(node: Node, plan: PlanBuilder): string | void {
  if (plan.type(node.args[0]!).dtype !== "float32") return tableRule.emit(node, plan);
  const { low, high } = clampOf(node) ?? unlimited;
  const input = plan.read(node.args[0]!, node, { kind: "any" });
  const output = plan.write(node.output, input.form.kind);
  plan.step({
    node,
    kernel: "f32 clamp",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind(place) {
      const { count, length, tables } = linesOf(place, [input, output]);
      const [source, target] = [place.at(input), place.at(output)];
      const work = count * length * ELEMENT_WORK;
      return () =>
        place.engine.share(
          "f32_clamp",
          [0, count, tables[0]!, tables[1]!, source, target, length, low, high],
          LINES,
          work,
        );
    },
  });
}

/** The number by which f32_activation knows each function. */
const activations: ReadonlyMap<string, number> = new Map([
  ["sigmoid", 0],
  ["silu", 1],
  ["tanh", 2],
  ["hardsigmoid", 3],
  ["hardswish", 4],
]);

function emitActivation(node: Node, plan: PlanBuilder): string | void {
  const kind = activations.get(node.target)!;
  if (plan.type(node.args[0]!).dtype !== "float32") return "only float32 tensors have a kernel";
  const input = plan.read(node.args[0]!, node, { kind: "any" });
  const output = plan.write(node.output, input.form.kind);
  plan.step({
    node,
    kernel: `f32 ${node.target}`,
    precision: "float",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind(place) {
      const [source, target] = [place.at(input), place.at(output)];
      const lines = rowBlocks([input, output]).flatMap(({ rows, count, offsets, strides }) =>
        Array.from(
          { length: rows },
          (_, row) =>
            [source + offsets[0]! + row * strides[0]!, target + offsets[1]! + row * strides[1]!, count] as const,
        ),
      );
      return () => {
        for (const [from, to, count] of lines) place.engine.kernels.f32_activation(count, from, to, kind);
      };
    },
  });
}

function emitSoftmax(node: Node, plan: PlanBuilder): string | void {
  const type = plan.type(node.args[0]!);
  if (type.dtype !== "float32" || node.attrs["dim"] !== type.shape.length - 1)
    return "only the last axis of float32 tensors has a kernel";
  const input = plan.read(node.args[0]!, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  const length = type.shape.at(-1) ?? 1;
  const rows = numel(type.shape) / length;
  const logarithm = node.target === "logSoftmax" ? 1 : 0;
  plan.step({
    node,
    kernel: "f32 softmax",
    precision: "float",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind(place) {
      const [source, target] = [place.at(input), place.at(output)];
      return () => place.engine.kernels.f32_softmax(0, rows, length, source, target, logarithm);
    },
  });
}

export const elementwiseRules: readonly (readonly [string, StepRule])[] = [
  ["add", pairRule(false)],
  ["mul", pairRule(true)],
  ...clampTargets.map((target) => [target, { emit: emitClamp }] as const),
  ...[...activations.keys()].map((target) => [target, { emit: emitActivation }] as const),
  ["softmax", { emit: emitSoftmax }],
  ["logSoftmax", { emit: emitSoftmax }],
];
