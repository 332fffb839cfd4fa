/**
 * weightOnlyLinear → the product of float rows with packed integers, which keeps a weight in a quarter or an eighth of
 * its floats' bytes; many rows take the float product, which is faster then.
 */

import type { Node } from "../../graph/graph.ts";
import { runWeightOnly } from "../../engine/eager/weight-only.ts";
import { packWeightOnly } from "../../kernels/wonly/weights.ts";
import { floatWeight } from "../../ops/quantized/weight-only-linear.ts";
import type { WeightOnlyAttrs } from "../../ops/quantized/weight-only-linear.ts";
import { numel } from "../../tensor/shape.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";
import { emitProduct } from "./linear.ts";

/** Up to so many rows reading the weight takes the time; measured at 1024 x 1024, where 16 rows of floats are faster. */
const FEW_ROWS = 8;

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, q, s, z, b] = node.args;
  const [values, scales, zeroPoints] = [plan.constant(q!), plan.constant(s!), plan.constant(z ?? null)];
  const bias = plan.constant(b ?? null);
  const isStored = values && scales && (zeroPoints || (z ?? null) === null) && (bias || (b ?? null) === null);
  if (!isStored) return "a weight that is not stored stays float";
  const { groupSize, bits, low } = node.attrs as WeightOnlyAttrs;
  const [channels, depth] = values.shape as [number, number];
  const rows = numel(plan.type(x!).shape) / depth;
  if (rows > FEW_ROWS || rows === 0) {
    emitProduct(node, plan, x!, floatWeight(values, scales, zeroPoints, groupSize), b ?? null);
    return;
  }
  const input = plan.read(x!, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  plan.step({
    node,
    kernel: `int${bits} weights ${rows === 1 ? "1x32" : "4x8"}`,
    precision: "float",
    why: "only the weight is in integers",
    operations: 2 * rows * channels * depth,
    reads: [input],
    writes: [output],
    bind({ engine, at, constant }) {
      const packed = packWeightOnly({
        bits,
        channels,
        depth,
        groupSize,
        values: values.data,
        scales: scales.data,
        low,
        ...(zeroPoints && { zeroPoints: zeroPoints.data }),
        ...(bias && { bias: bias.data }),
      });
      const weights = constant(packed.bytes.length);
      engine.memory.u8(weights, packed.bytes.length).set(packed.bytes);
      const [from, to] = [at(input), at(output)];
      return () => runWeightOnly(engine, packed, weights, rows, from, to);
    },
  });
}

export const weightOnlyRules: readonly (readonly [string, StepRule])[] = [["weightOnlyLinear", { emit }]];
