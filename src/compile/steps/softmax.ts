/**
 * softmax and logSoftmax in float → the row kernel; another axis than the last is brought to the end and back.
 */

import type { Node } from "../../graph/graph.ts";
import { LOGARITHM, SOFTMAX } from "../../kernels/f32-softmax/kinds.ts";
import { axisView } from "../../ops/loops.ts";
import type { AxisView } from "../../ops/loops.ts";
import type { Buffer } from "../buffer.ts";
import { flat } from "../form.ts";
import { ELEMENT_WORK } from "../lines.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";

const FLOAT = 4;
/** Work of an exponential, in elements moved. */
const EXPONENTIAL_WORK = 8;

interface Softmax extends AxisView {
  readonly x: Buffer;
  readonly y: Buffer;
  /** Room for the values with the axis at the end; null where it is. */
  readonly turned: Buffer | null;
  readonly kind: number;
}

/** [outer, rows, columns] to [outer, columns, rows]. */
function transposer(
  { engine }: Place,
  outer: number,
  rows: number,
  columns: number,
  from: number,
  to: number,
): () => void {
  const bytes = rows * columns * FLOAT;
  return () => {
    for (let o = 0; o < outer; o++)
      engine.kernels.layout_transpose32(rows, columns, from + o * bytes, columns * FLOAT, to + o * bytes, rows * FLOAT);
  };
}

function bindSoftmax(place: Place, { x, y, turned, outer, size, inner, kind }: Softmax): () => void {
  const { engine, at } = place;
  const rows = outer * inner;
  const [source, target] = turned ? [at(turned), at(turned)] : [at(x), at(y)];
  const args = [0, rows, size, source, target, kind] as const;
  const work = ELEMENT_WORK * EXPONENTIAL_WORK * rows * size;
  const run = (): void => engine.share("f32_softmax", [...args], { at: 0, unit: 1 }, work);
  if (!turned) return run;
  const turn = transposer(place, outer, size, inner, at(x), source);
  const back = transposer(place, outer, inner, size, target, at(y));
  return () => {
    turn();
    run();
    back();
  };
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const { dtype, shape } = plan.type(node.args[0]!);
  if (dtype !== "float32") return "only float32 tensors have a kernel";
  const view = axisView(shape, node.attrs["dim"] as number);
  const x = plan.read(node.args[0]!, node, { kind: "flat" });
  const y = plan.write(node.output, "flat");
  const turned = view.inner === 1 ? null : plan.scratch({ dtype, shape }, flat(shape));
  const kind = node.target === "logSoftmax" ? LOGARITHM : SOFTMAX;
  plan.step({
    node,
    kernel: "f32 softmax",
    precision: "float",
    why: turned ? "the axis is not the last" : "",
    operations: 0,
    reads: [x],
    writes: turned ? [y, turned] : [y],
    bind: (place) => bindSoftmax(place, { ...view, x, y, turned, kind }),
  });
}

export const softmaxRules: readonly (readonly [string, StepRule])[] = [
  ["softmax", { emit }],
  ["logSoftmax", { emit }],
];
