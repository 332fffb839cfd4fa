/**
 * quantizedLinear and quantizedLinearFloat → the integer matrix product; one row takes the vector form.
 */

import type { Node } from "../../graph/graph.ts";
import { gemmPart } from "../../kernels/qgemm/gemm.ts";
import { PartBlock } from "../../kernels/qgemm/parts.ts";
import { linearRounding } from "../../ops/quantized/engines.ts";
import type { QuantizedLinearAttrs } from "../../ops/quantized/linear.ts";
import { numel } from "../../tensor/shape.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { bindParts } from "./parts.ts";
import { addRealLayer, realsFor } from "./quantized-reals.ts";
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
  const rounding = isFloat ? "fbgemm" : linearRounding(attrs.engine);
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
      epilogue: epilogueOf(type, weight, bias, output.type, { relu: !isFloat && attrs.relu, rounding }),
    },
    plan.choice,
  );
  const block = new PartBlock([part], plan.engine.threads);
  const [kernel, operations, reads] = [`qgemm ${part.weights.variant}`, 2 * rows * depth * channels, [input]];
  const bind = (place: Place, target: Buffer): (() => void) => bindParts(place, block, input, target, operations);
  if (rounding === "onednn")
    addRealLayer(node, plan, { kernel, operations, reads, output, other: null, relu: attrs.relu, bind }, realsFor(plan, output));
  else
    plan.step({
      node, kernel, precision: "int8", why: "", operations, reads, writes: [output],
      bind: (place) => bind(place, output),
    }); // prettier-ignore
}

export const quantizedLinearRules: readonly (readonly [string, StepRule])[] = [
  ["quantizedLinear", { emit }],
  ["quantizedLinearFloat", { emit }],
];
