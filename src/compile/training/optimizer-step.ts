/**
 * The optimizer's update as a step of a plan: its kernel on parameters and state in the engine's memory, or, for
 * optimizers without one, their own `step` on the JavaScript heap.
 */

import type { Node } from "../../graph/graph.ts";
import type { SteppedOptimizer } from "../../optim/optimizer.ts";
import { numel } from "../../tensor/shape.ts";
import type { Parameter } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder } from "../plan.ts";
import { load } from "../transfer.ts";
import type { VariableStore } from "./variables.ts";

type Gradients = ReadonlyMap<Parameter, Buffer>;

/** Groups are looked at anew in each run, so schedules and changed options take effect at once. */
function bindKernels(
  { engine, at }: Place,
  optimizer: SteppedOptimizer,
  store: VariableStore,
  gradients: Gradients,
): () => void {
  const addresses = new Map([...gradients].map(([parameter, buffer]) => [parameter, at(buffer)]));
  return () => {
    for (const group of optimizer.paramGroups) {
      const options = group as never;
      const kernel = optimizer.kernelFor(options)!;
      for (const parameter of group.params) {
        const gradient = addresses.get(parameter);
        if (gradient === undefined) continue;
        const slot = optimizer.advance(parameter);
        const arrays = kernel.arrays(options).map((name) => store.borrow(slot.tensor(name, parameter)));
        const values = store.addressOf(parameter);
        kernel.run(engine.kernels, parameter.numel, values, gradient, arrays, slot.step, options);
      }
    }
  };
}

/** Hands gradients out and lets the optimizer do what it does. */
function bindOwnStep(plan: PlanBuilder, place: Place, optimizer: SteppedOptimizer, gradients: Gradients): () => void {
  return () => {
    const before = [...gradients.keys()].map(({ grad }) => grad);
    for (const [parameter, buffer] of gradients)
      parameter.grad = load(place.engine, buffer, place.at(buffer), plan.flip);
    optimizer.step();
    [...gradients.keys()].forEach((parameter, i) => (parameter.grad = before[i]!));
  };
}

/** Adds the update of all parameters that have a gradient. */
export function addOptimizerStep(
  plan: PlanBuilder,
  node: Node,
  optimizer: SteppedOptimizer,
  store: VariableStore,
  gradients: Gradients,
): void {
  const count = [...gradients.keys()].reduce((sum, { shape }) => sum + numel(shape), 0);
  plan.step({
    node,
    kernel: `optimizer ${optimizer.constructor.name}`,
    precision: "float",
    why: "",
    operations: count,
    reads: [...gradients.values()],
    writes: [],
    bind(place) {
      const kernels = bindKernels(place, optimizer, store, gradients);
      const own = bindOwnStep(plan, place, optimizer, gradients);
      return () => {
        const floats = [...gradients.keys()].every(({ dtype }) => dtype === "float32");
        if (floats && optimizer.paramGroups.every((group) => optimizer.kernelFor(group as never))) kernels();
        else own();
      };
    },
  });
}
