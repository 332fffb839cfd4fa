/**
 * Weights and one number a row (an output channel): scaling by a factor, and the gradient of that factor, a dot product a
 * row, which backward writes as a product and a sum.
 */

import type { Argument, Node } from "../../../graph/graph.ts";
import { Value } from "../../../graph/graph.ts";
import { numel, sameShape } from "../../../tensor/shape.ts";
import type { Shape } from "../../../tensor/shape.ts";
import type { PlanBuilder } from "../../plan.ts";
import { numbersOf } from "./numbers.ts";

const FLOAT = 4;

/** Whether a shape has one number for each entry of axis 0 of another of its rank. */
export function isPerRow(small: Shape, whole: Shape): boolean {
  const isColumn = small.length === whole.length && small.slice(1).every((size) => size === 1);
  return whole.length > 1 && isColumn && small[0] === whole[0];
}

/** x * factors, row by row. */
export function emitRowScale(node: Node, plan: PlanBuilder, x: Argument, factors: Argument): void {
  const { shape } = plan.type(x);
  const rows = shape[0]!;
  const length = numel(shape.slice(1));
  const numbers = numbersOf(plan, node, factors);
  const input = plan.read(x, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  plan.step({
    node,
    kernel: "f32 mul by row",
    precision: "float",
    why: "",
    operations: numel(shape),
    reads: [input, ...numbers.buffers],
    writes: [output],
    bind(place) {
      const { engine, at, constant } = place;
      const vector = constant(rows * FLOAT);
      const read = numbers.bind(place);
      const [source, target] = [at(input), at(output)];
      return () => {
        engine.memory.f32(vector, rows).set(read());
        engine.kernels.f32_rows_mul(rows, length, source, vector, target);
      };
    },
  });
}

/** The product that a sum over all axes but the first alone reads; null for other sums. */
function productOf(total: Node): Node | null {
  const [x] = total.args;
  if (!(x instanceof Value) || x.node.target !== "mul" || x.users.length !== 1) return null;
  const shape = x.type?.shape ?? [];
  const others = shape.map((_, axis) => axis).slice(1);
  const [a, b] = x.node.args;
  const isPair = [a, b].every(
    (arg) => arg instanceof Value && arg.type?.dtype === "float32" && sameShape(arg.type.shape, shape),
  );
  return isPair && others.length > 0 && sameShape(total.attrs["dim"] as readonly number[], others) ? x.node : null;
}

/** Whether a product is left to the sum behind it. */
export function isSummedByRow(product: Node): boolean {
  const reader = product.output.users[0];
  return product.output.users.length === 1 && reader?.target === "sum" && productOf(reader) === product;
}

/** Dot products of rows; false when this sum is no such thing. */
export function emitRowDots(node: Node, plan: PlanBuilder): boolean {
  const product = productOf(node);
  if (!product) return false;
  const [a, b] = product.args.map((argument) => plan.read(argument, node, { kind: "flat" }));
  const output = plan.write(node.output, "flat");
  const { shape } = a!.type;
  const rows = shape[0]!;
  const length = numel(shape.slice(1));
  plan.step({
    node,
    kernel: "f32 dot by row",
    precision: "float",
    why: "",
    operations: 2 * numel(shape),
    reads: [a!, b!],
    writes: [output],
    bind({ engine, at }) {
      const [left, right, target] = [at(a!), at(b!), at(output)];
      return () => engine.kernels.f32_rows_dot(rows, length, left, right, target);
    },
  });
  return true;
}
