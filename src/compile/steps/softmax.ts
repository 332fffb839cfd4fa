/**
 * softmax and logSoftmax in float → the row kernel.
 */

import type { Node } from "../../graph/graph.ts";
import { numel } from "../../tensor/shape.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";

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

export const softmaxRules: readonly (readonly [string, StepRule])[] = [
  ["softmax", { emit: emitSoftmax }],
  ["logSoftmax", { emit: emitSoftmax }],
];
