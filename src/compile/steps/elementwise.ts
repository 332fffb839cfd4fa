/**
 * Float elementwise operators: sums, differences and products of two tensors of one shape, clamps, and smooth activations.
 */

import type { Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import { ELEMENT_WORK, LINES, sharedLines } from "../lines.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";
import { rowBlocks } from "../rows.ts";
import { clampOf, clampTargets, unlimited } from "./clamps.ts";
import { tableRule } from "./quantized-elementwise.ts";

function areFloat(node: Node, plan: PlanBuilder): boolean {
  return node.args.every((arg) => arg instanceof Value && plan.type(arg).dtype === "float32" && !plan.constant(arg));
}

/** Sums, differences and products of two float32 tensors of one shape; a clamp behind them is taken over. */
export function emitPair(node: Node, plan: PlanBuilder, operator: "add" | "sub" | "mul"): void {
  const [a, b] = node.args;
  const { output: value, range } = plan.absorbClamp(node);
  const left = plan.read(a!, node, plan.isReadAsImage(value) ? { kind: "image" } : { kind: "any" });
  const right = plan.read(b!, node, { kind: left.form.kind });
  const output = plan.write(value, left.form.kind);
  plan.step({
    node,
    kernel: `f32 ${operator}`,
    precision: "float",
    why: "",
    operations: numel(output.type.shape),
    reads: [left, right],
    writes: [output],
    bind(place) {
      const { count, length, tables: [ta, tb, ty] } = sharedLines(place, [left, right, output]); // prettier-ignore
      const { engine } = place;
      const lines = [0, count, ta!, tb!, ty!, place.at(left), place.at(right), place.at(output), length] as const;
      const { low, high } = range;
      const work = ELEMENT_WORK * count * length;
      if (operator === "mul") return () => engine.share("f32_mul", [...lines, low, high], LINES, work);
      const alpha = operator === "add" ? 1 : -1;
      return () => engine.share("f32_add", [...lines, alpha, low, high], LINES, work);
    },
  });
}

function pairRule(operator: "add" | "sub" | "mul"): StepRule {
  return {
    emit(node, plan) {
      const [a, b] = node.args;
      if (!areFloat(node, plan))
        return "only sums, differences and products of two computed float32 tensors have a kernel";
      if (!sameShape(plan.type(a!).shape, plan.type(b!).shape))
        return "the shapes differ and would have to be broadcast";
      emitPair(node, plan, operator);
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
      const { count, length, tables } = sharedLines(place, [input, output]);
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
  ["add", pairRule("add")],
  ["sub", pairRule("sub")],
  ["mul", pairRule("mul")],
  ...clampTargets.map((target) => [target, { emit: emitClamp }] as const),
  ...[...activations.keys()].map((target) => [target, { emit: emitActivation }] as const),
  ["softmax", { emit: emitSoftmax }],
  ["logSoftmax", { emit: emitSoftmax }],
];
