/**
 * quantizedLinear and quantizedLinearFloat → the integer matrix product; one row takes the vector form.
 */

import type { Node } from "../../graph/graph.ts";
import { gemmPart } from "../../kernels/qgemm/gemm.ts";
import { PartBlock } from "../../kernels/qgemm/parts.ts";
import { linearRounding } from "../../ops/quantized/engines.ts";
import type { QuantizedLinearAttrs } from "../../ops/quantized/linear.ts";
import { numel } from "../../tensor/shape.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";
import { bindParts } from "./parts.ts";
import { epilogueOf, refuseQuantized, weightZeroPoints } from "./quantized-epilogue.ts";

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  const attrs = node.attrs as QuantizedLinearAttrs;
  const weight = plan.constant(w!);
  const bias = plan.constant(b ?? null);
  const type = plan.type(x!);
  const refused = refuseQuantized(type, weight, bias, b !== null);
  if (refused || !weight) return refused ?? "";
  const isFloat = plan.type(node.output).dtype === "float32";
  if (!isFloat && linearRounding(attrs.engine) !== "fbgemm")
    return `the kernels round as fbgemm does, not as ${attrs.engine}`;
  const [channels, depth] = weight.shape as [number, number];
  const rows = numel(type.shape) / depth;
  const input = plan.read(x!, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  const part = gemmPart(
    {
      rows,
      depth,
      channels,
      weights: weight.data as Int8Array,
      weightZeroPoints: weightZeroPoints(weight),
      epilogue: epilogueOf(type, weight, bias, output.type, !isFloat && attrs.relu),
    },
    plan.choice,
  );
  const block = new PartBlock([part], plan.engine.threads);
  plan.step({
    node,
    kernel: `qgemm ${part.weights.variant}`,
    precision: "int8",
    why: "",
    operations: 2 * rows * depth * channels,
    reads: [input],
    writes: [output],
    bind: (place) => bindParts(place, block, input, output, 2 * rows * depth * channels),
  });
}

export const quantizedLinearRules: readonly (readonly [string, StepRule])[] = [
  ["quantizedLinear", { emit }],
  ["quantizedLinearFloat", { emit }],
];
