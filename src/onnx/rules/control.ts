/**
 * Control flow. A branch whose condition is known, and a loop whose length is known, are walked through; what
 * depends on values waits for them as one node with its subgraphs inside.
 */

import { cat, stack } from "../../ops/cat.ts";
import { reshape } from "../../ops/shape.ts";
import { select } from "../../ops/slicing.ts";
import { scalar, zeros } from "../../tensor/create.ts";
import { normalizeAxis } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { MOST_STEPS, rule, valueOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";

function branch(call: Call): readonly Tensor[] {
  return call.runGraph(call.graph(valueOf(call.input(0)) !== 0 ? "then_branch" : "else_branch"), []);
}

function loop(call: Call): readonly Tensor[] {
  const [most, condition] = [call.optional(0), call.optional(1)];
  const body = call.graph("body");
  const limit = most ? valueOf(most) : Infinity;
  const count = call.inputs.length - 2;
  let carried = call.inputs.slice(2);
  const scanned: Tensor[][] = Array.from({ length: body.output.length - 1 - count }, () => []);
  let go = condition ? valueOf(condition) !== 0 : true;
  for (let step = 0; go && step < limit; step++) {
    if (step >= MOST_STEPS) call.fail("a loop runs for too many steps", { limit: MOST_STEPS });
    const [next, ...results] = call.runGraph(body, [scalar(step, "int64"), scalar(Number(go), "bool"), ...carried]);
    carried = results.slice(0, count);
    results.slice(count).forEach((tensor, i) => scanned[i]!.push(tensor));
    go = valueOf(next!) !== 0;
  }
  return [...(carried as Tensor[]), ...scanned.map((list) => (list.length > 0 ? stack(list, 0) : zeros([0])))];
}

/** Older scans run over a batch axis first; newer ones name the axis of every scanned tensor. */
function scan(call: Call): readonly Tensor[] {
  const body = call.graph("body");
  const count = call.int("num_scan_inputs");
  const states = call.inputs.length - count;
  const axisOf = (name: string, i: number, rank: number): number =>
    normalizeAxis("Scan", call.ints(name)?.[i] ?? 0, rank);
  const isBackward = (name: string, i: number): boolean => call.ints(name)?.[i] === 1;
  const inputs = call.inputs.slice(states).map((_, i) => call.input(states + i));
  const lengths = inputs.map((x, i) => x.shape[axisOf("scan_input_axes", i, x.rank)]!);
  const steps = lengths[0] ?? 0;
  if (steps > MOST_STEPS) call.fail("a scan runs for too many steps", { steps, limit: MOST_STEPS });
  let state: readonly (Tensor | null)[] = call.inputs.slice(0, states);
  const scanned: Tensor[][] = Array.from({ length: body.output.length - states }, () => []);
  for (let step = 0; step < steps; step++) {
    const slices = inputs.map((x, i) =>
      select(x, axisOf("scan_input_axes", i, x.rank), isBackward("scan_input_directions", i) ? steps - 1 - step : step),
    );
    const results = call.runGraph(body, [...state, ...slices]);
    state = results.slice(0, states);
    results.slice(states).forEach((tensor, i) => scanned[i]!.push(tensor));
  }
  const stacked = scanned.map((list, i) => {
    const ordered = isBackward("scan_output_directions", i) ? list.reverse() : list;
    return stack(ordered, axisOf("scan_output_axes", i, ordered[0]!.rank + 1));
  });
  return [...(state as Tensor[]), ...stacked];
}

/** Opset 8: the first input may be lengths, and axis 0 of everything is a batch. */
function batchedScan(call: Call): readonly Tensor[] {
  const body = call.graph("body");
  const count = call.int("num_scan_inputs");
  const inputs = call.inputs.slice(1).map((_, i) => call.input(i + 1));
  const states = inputs.length - count;
  const [batch, steps] = inputs[states]!.shape as [number, number];
  if (batch * steps > MOST_STEPS)
    call.fail("a scan runs for too many steps", { steps: batch * steps, limit: MOST_STEPS });
  const perImage = Array.from({ length: batch }, (_, n) => {
    let state = inputs.slice(0, states).map((x) => select(x, 0, n));
    const scanned: Tensor[][] = Array.from({ length: body.output.length - states }, () => []);
    for (let step = 0; step < steps; step++) {
      const results = call.runGraph(body, [
        ...state,
        ...inputs.slice(states).map((x) => select(select(x, 0, n), 0, step)),
      ]);
      state = results.slice(0, states);
      results.slice(states).forEach((tensor, i) => scanned[i]!.push(tensor));
    }
    return [...state, ...scanned.map((list) => stack(list, 0))];
  });
  return perImage[0]!.map((first, i) =>
    cat(
      perImage.map((image) => reshape(image[i]!, [1, ...first.shape])),
      0,
    ),
  );
}

export const controlRules: OnnxRules = {
  If: rule(branch),
  Loop: rule(loop),
  Scan: { since: { 8: batchedScan, 9: scan } },
};
