/**
 * Plain 8-bit integers at the edge of a plan: a model whose inputs or outputs are bytes. Plain integers live outside
 * the engine (see form.ts), so making a quantized tensor of them copies them in, and asking for the integers copies out.
 */

import type { Node } from "../../graph/graph.ts";
import { elementOf, imageOf } from "../form.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";
import { load, store } from "../transfer.ts";

function emitQuantizedOf(node: Node, plan: PlanBuilder): string | void {
  const [q] = node.args;
  const type = plan.type(node.output);
  if (elementOf(type.dtype) !== "byte") return "only 8-bit integers have a kernel";
  if (plan.constant(q!)) return "a stored tensor is quantized";
  const input = plan.read(q!, node, { kind: "any" });
  const wantsImage = plan.isReadAsImage(node.output) && imageOf(type.shape) !== null;
  const output = plan.write(node.output, wantsImage ? "image" : "flat");
  plan.copy({
    node,
    kernel: "copy in",
    reads: [input],
    writes: [output],
    bind({ engine, at, host }) {
      const slot = host(input);
      const address = at(output);
      return () => store(engine, output, address, slot.tensor!, plan.flip);
    },
  });
}

function emitIntRepr(node: Node, plan: PlanBuilder): string | void {
  const [q] = node.args;
  if (plan.constant(q!)) return "a stored tensor's integers are asked for";
  const input = plan.read(q!, node, { kind: "any" });
  if (input.element !== "byte") return "only 8-bit integers have a kernel";
  const output = plan.write(node.output, "flat");
  const { type } = output;
  plan.copy({
    node,
    kernel: "copy out",
    reads: [input],
    writes: [output],
    bind({ engine, at, host }) {
      const slot = host(output);
      const address = at(input);
      return () => (slot.tensor = load(engine, input, address, plan.flip, type));
    },
  });
}

export const integerRules: readonly (readonly [string, StepRule])[] = [
  ["makePerTensorQuantizedTensor", { emit: emitQuantizedOf }],
  ["intRepr", { emit: emitIntRepr }],
];
