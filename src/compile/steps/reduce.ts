/**
 * Sums, means, largest and smallest values of float32 over any axes, row-major: neighbouring axes are reduced as one, and
 * groups of them one after the other, the last first.
 */

import type { Node } from "../../graph/graph.ts";
import { MAXIMUM, MINIMUM, SUM } from "../../kernels/f32-reduce/kinds.ts";
import type { ReduceAttrs } from "../../ops/reduce.ts";
import { reducedCount } from "../../ops/reduce.ts";
import { numel } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import { flat } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import { ELEMENT_WORK } from "../lines.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";

/** One pass over [outer, n, inner]. */
interface Pass {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
}

/** The passes that reduce the axes `dim` of a shape. */
function passesOf(shape: Shape, dim: readonly number[]): Pass[] {
  const passes: Pass[] = [];
  const sizes = [...shape];
  for (let last = shape.length - 1; last >= 0; last--) {
    if (!dim.includes(last)) continue;
    let first = last;
    while (first > 0 && (dim.includes(first - 1) || sizes[first - 1] === 1)) first--;
    const n = numel(sizes.slice(first, last + 1));
    passes.push({ outer: numel(sizes.slice(0, first)), n, inner: numel(sizes.slice(last + 1)) });
    for (let axis = first; axis <= last; axis++) sizes[axis] = 1;
    last = first;
  }
  return passes;
}

function addPass(
  node: Node,
  plan: PlanBuilder,
  { outer, n, inner }: Pass,
  [x, y]: readonly [Buffer, Buffer],
  kind: number,
  divisor: number,
): void {
  plan.step({
    node,
    kernel: `f32 ${node.target}`,
    precision: "float",
    why: "",
    operations: outer * n * inner,
    reads: [x],
    writes: [y],
    bind({ engine, at }) {
      const args = [0, outer, n, inner, at(x), at(y), kind, divisor] as const;
      return () => engine.share("f32_reduce", [...args], { at: 0, unit: 1 }, ELEMENT_WORK * outer * n * inner);
    },
  });
}

const kinds: Readonly<Record<string, number>> = { sum: SUM, mean: SUM, amax: MAXIMUM, amin: MINIMUM };

/** Adds the steps of a reduction; a string says why there are none. */
export function emitReduce(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  const { dtype, shape } = plan.type(x!);
  const { dim } = node.attrs as ReduceAttrs;
  const kind = kinds[node.target]!;
  if (dtype !== "float32") return "only float32 tensors have a kernel";
  const passes = passesOf(shape, dim);
  if (kind !== SUM && reducedCount(shape, dim) === 0) return "there is nothing to choose from";
  let source = plan.read(x!, node, { kind: "flat" });
  if (passes.length === 0) {
    plan.alias(node.output, source, flat(plan.type(node.output).shape));
    return;
  }
  passes.forEach((pass, i) => {
    const isLast = i === passes.length - 1;
    const made: Shape = [pass.outer * pass.inner];
    const target = isLast ? plan.write(node.output, "flat") : plan.scratch({ dtype, shape: made }, flat(made));
    const divisor = isLast && node.target === "mean" ? reducedCount(shape, dim) : 1;
    addPass(node, plan, pass, [source, target], kind, divisor);
    source = target;
  });
}

export const reduceRules: readonly (readonly [string, StepRule])[] = ["sum", "amax", "amin"].map((target) => [
  target,
  { emit: emitReduce },
]);
