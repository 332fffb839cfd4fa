/**
 * Float operators of one operand: clamps and the functions of f32-unary, in whatever form the operand has.
 */

import type { Node } from "../../graph/graph.ts";
import type { Buffer } from "../buffer.ts";
import { ELEMENT_WORK, LINES, sharedLines } from "../lines.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { whenRead } from "./byte-function.ts";
import { clampOf, clampTargets, unlimited } from "./clamps.ts";
import { unaryCallOf, unaryTargets } from "./pointwise.ts";
import { tableRule } from "./quantized-elementwise.ts";

/** Work of an exponential, in elements moved. */
const EXPONENTIAL_WORK = 8;

/** Lines and addresses of an operand and a result, as kernels take them. */
type LineArguments = readonly [
  from: number,
  to: number,
  xLines: number,
  yLines: number,
  x: number,
  y: number,
  n: number,
];

function addStep(
  node: Node,
  plan: PlanBuilder,
  kernel: string,
  call: (place: Place, lines: LineArguments, elements: number) => () => void,
): void {
  const input = plan.read(node.args[0]!, node, { kind: "any" });
  const output = plan.write(node.output, input.form.kind);
  plan.step({
    node,
    kernel,
    precision: "float",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bindLines(place, input, output, call),
  });
}

function bindLines(
  place: Place,
  input: Buffer,
  output: Buffer,
  call: (place: Place, lines: LineArguments, elements: number) => () => void,
): () => void {
  const { count, length, tables } = sharedLines(place, [input, output]);
  return call(place, [0, count, tables[0]!, tables[1]!, place.at(input), place.at(output), length], count * length);
}

function emitClamp(node: Node, plan: PlanBuilder): string | void {
  if (plan.type(node.args[0]!).dtype !== "float32") return tableRule.emit(node, plan);
  const { low, high } = clampOf(node) ?? unlimited;
  return whenRead(node, plan, () =>
    addStep(node, plan, "f32 clamp", ({ engine }, lines, elements) => {
      return () => engine.share("f32_clamp", [...lines, low, high], LINES, elements * ELEMENT_WORK);
    }),
  );
}

function emitUnary(node: Node, plan: PlanBuilder): string | void {
  const found = unaryCallOf(node);
  if (!found) return "only powers of 2, 3, 1/2, -1/2 and -1 have a kernel";
  if (plan.type(node.args[0]!).dtype !== "float32" || plan.type(node.output).dtype !== "float32")
    return "only float32 tensors have a kernel";
  const { kernel, kind, parameters } = found;
  return whenRead(node, plan, () =>
    addStep(node, plan, `f32 ${node.target}`, ({ engine }, lines, elements) => {
      const [a, b, c] = parameters;
      return kernel === "f32_unary"
        ? () => engine.share(kernel, [...lines, kind, a, b], LINES, elements * ELEMENT_WORK)
        : () => engine.share(kernel, [...lines, kind, a, b, c], LINES, elements * ELEMENT_WORK * EXPONENTIAL_WORK);
    }),
  );
}

export const unaryRules: readonly (readonly [string, StepRule])[] = [
  ...clampTargets.map((target) => [target, { emit: emitClamp }] as const),
  ...unaryTargets.map((target) => [target, { emit: emitUnary }] as const),
];
