/**
 * Elementwise steps of backward passes: relu's mask, arithmetic of two tensors, of a tensor and a number, and of an image
 * and one number a channel; and sums over everything but the channels.
 */

import type { Argument, Node } from "../../../graph/graph.ts";
import { Value } from "../../../graph/graph.ts";
import { numel, sameShape } from "../../../tensor/shape.ts";
import type { Shape } from "../../../tensor/shape.ts";
import { flat } from "../../form.ts";
import { ELEMENT_WORK, LINES, sharedLines } from "../../lines.ts";
import type { PlanBuilder, StepRule } from "../../plan.ts";
import { emitPair } from "../../steps/binary.ts";
import { isTakenIn } from "./batch-norm.ts";
import { bindMoments, channelForm, channelLines, channelVector, emptyMoments, readChannels } from "./channels.ts";
import { numbersOf } from "./numbers.ts";
import { emitRowDots, emitRowScale, isPerRow, isSummedByRow } from "./rows.ts";

type Operator = "add" | "sub" | "mul" | "div";

function isFloatTensor(plan: PlanBuilder, argument: Argument): boolean {
  return argument instanceof Value && plan.type(argument).dtype === "float32";
}

/** The mask that alone reads a sum, and takes it in: the gradient of an activation with two readers. Null without one. */
function gateOf(plan: PlanBuilder, sum: Node): Node | null {
  const [reader] = sum.output.users;
  const isGated = reader?.target === "gate" && reader.args[0] === sum.output && plan.graph.useCount(sum.output) === 1;
  return isGated && !plan.absorbed.has(reader) ? reader : null;
}

/** The sum of two tensors of one shape that a mask takes in. */
function summandsOf(plan: PlanBuilder, dy: Value): readonly Argument[] | null {
  const { node } = dy;
  const isPair = node.target === "add" && node.args.every((arg) => sameShape(shapeOf(plan, arg), shapeOf(plan, dy)));
  return isPair && node.args.every((arg) => isFloatTensor(plan, arg)) && gateOf(plan, node) ? node.args : null;
}

function emitGate(node: Node, plan: PlanBuilder): string | void {
  const [dy, x] = node.args;
  const { low, high } = node.attrs as { low: number; high: number | null };
  if (!isFloatTensor(plan, dy!) || !isFloatTensor(plan, x!)) return "only float32 tensors have a kernel";
  const mask = plan.read(x!, node, { kind: "any" });
  const summands = summandsOf(plan, dy as Value);
  const gradients = (summands ?? [dy!]).map((value) => plan.read(value, node, { kind: mask.form.kind }));
  const output = plan.write(node.output, mask.form.kind);
  const buffers = [...gradients, mask, output];
  plan.step({
    node,
    kernel: `f32 ${summands ? "sum, " : ""}clamp gradient`,
    precision: "float",
    why: "",
    operations: 0,
    reads: [...gradients, mask],
    writes: [output],
    bind(place) {
      const { count, length, tables } = sharedLines(place, buffers);
      const args = [0, count, ...tables, ...buffers.map(place.at), length, low, high ?? Infinity];
      const kernel = summands ? "f32_clamp_grad_sum" : "f32_clamp_grad";
      return () => place.engine.share(kernel, args as never, LINES, ELEMENT_WORK * count * length);
    },
  });
}

/** Whether a shape has one number for each channel (axis 1) of another, or one in all. */
function isPerChannel(small: Shape, whole: Shape): boolean {
  const lead = whole.length - small.length;
  return lead >= 0 && small.every((size, axis) => size === 1 || (axis + lead === 1 && size === whole[1]));
}

/** scale and shift of y = x * scale + shift for y = x op v, or v op x when `swapped`. */
function lineOf(operator: Operator, v: number, swapped: boolean): readonly [scale: number, shift: number] {
  if (operator === "add") return [1, v];
  if (operator === "sub") return swapped ? [-1, v] : [1, -v];
  return operator === "mul" ? [v, 0] : [1 / v, 0];
}

function emitChannels(node: Node, plan: PlanBuilder, operator: Operator, swapped: boolean): string | void {
  const [x, other] = swapped ? [node.args[1]!, node.args[0]!] : [node.args[0]!, node.args[1]!];
  const form = channelForm(plan.type(x));
  if (!form || (operator === "div" && swapped)) return "there is no kernel for these operands";
  const numbers = numbersOf(plan, node, other);
  const input = readChannels(plan, node, x);
  const { output: value, range } = plan.absorbClamp(node);
  const output = plan.write(value, form);
  plan.step({
    node,
    kernel: `f32 ${operator} by channel`,
    precision: "float",
    why: "",
    operations: numel(output.type.shape),
    reads: [input, ...numbers.buffers],
    writes: [output],
    bind(place) {
      const { engine, at } = place;
      const { lines, pixels, channels, tables } = channelLines(place, [input, output]);
      const [scale, shift] = [channelVector(place, channels), channelVector(place, channels)];
      const read = numbers.bind(place);
      const [source, target] = [at(input), at(output)];
      return () => {
        const [scales, shifts] = [engine.memory.f32(scale, channels), engine.memory.f32(shift, channels)];
        const values = read();
        for (let c = 0; c < channels; c++) {
          const [k, b] = lineOf(operator, values[values.length === 1 ? 0 : c]!, swapped);
          scales[c] = k;
          shifts[c] = b;
        }
        engine.kernels.f32_channel_affine(
          0, lines, tables[0]!, tables[1]!, source, target, pixels, channels, scale, shift, range.low, range.high,
        ); // prettier-ignore
      };
    },
  });
}

/** Shape of an operand; a number has none. */
function shapeOf(plan: PlanBuilder, argument: Argument): Shape {
  return argument instanceof Value ? plan.type(argument).shape : [];
}

function arithmetic(operator: Operator): StepRule {
  return {
    emit(node, plan) {
      const [a, b] = node.args as [Argument, Argument];
      if (plan.type(node.output).dtype !== "float32") return "only float32 results have a kernel";
      if (operator === "div" && isTakenIn(plan, node)) return;
      const [left, right] = [shapeOf(plan, a), shapeOf(plan, b)];
      const [floatA, floatB] = [isFloatTensor(plan, a), isFloatTensor(plan, b)];
      if (operator === "mul" && isSummedByRow(node)) return;
      if (operator === "add" && summandsOf(plan, node.output)) return;
      if (floatA && floatB && sameShape(left, right))
        return operator === "div"
          ? "there is no kernel for the quotient of two tensors"
          : emitPair(node, plan, operator);
      if (operator === "mul" && floatA && isPerRow(right, left)) return emitRowScale(node, plan, a, b);
      if (operator === "mul" && floatB && isPerRow(left, right)) return emitRowScale(node, plan, b, a);
      if (floatA && isPerChannel(right, left)) return emitChannels(node, plan, operator, false);
      if (floatB && isPerChannel(left, right)) return emitChannels(node, plan, operator, true);
      return "there is no kernel for shapes that broadcast in this way";
    },
  };
}

/** Sums over all axes but the channels'. */
function emitSum(node: Node, plan: PlanBuilder): string | void {
  if (emitRowDots(node, plan)) return;
  const type = plan.type(node.args[0]!);
  const { dim } = node.attrs as { dim: readonly number[] };
  const others = type.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  if (!channelForm(type) || !sameShape(dim, others)) return "only sums over all axes but the channels' have a kernel";
  const input = readChannels(plan, node, node.args[0]!);
  const output = plan.write(node.output, "flat");
  plan.step({
    node,
    kernel: "f32 channel sums",
    precision: "float",
    why: "",
    operations: numel(type.shape),
    reads: [input],
    writes: [output],
    bind(place) {
      const { engine, at } = place;
      const moments = emptyMoments(type.shape[1]!);
      const take = bindMoments(place, input, moments);
      const target = at(output);
      const count = numel(type.shape) / type.shape[1]!;
      return () => {
        take();
        const sums = engine.memory.f32(target, moments.mean.length);
        for (let c = 0; c < sums.length; c++) sums[c] = moments.mean[c]! * count;
      };
    },
  });
}

/** Reshapes of one shape to itself, which backward passes are full of. */
function emitReshape(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  const [from, to] = [plan.type(x!), plan.type(node.output)];
  if (from.dtype !== "float32") return "only float32 values live in the engine";
  if (sameShape(from.shape, to.shape)) return plan.same(node.output, plan.read(x!, node, { kind: "any" }));
  plan.alias(node.output, plan.read(x!, node, { kind: "flat" }), flat(to.shape));
}

export const elementwiseRules: readonly (readonly [string, StepRule])[] = [
  ["gate", { emit: emitGate }],
  ["add", arithmetic("add")],
  ["sub", arithmetic("sub")],
  ["mul", arithmetic("mul")],
  ["div", arithmetic("div")],
  ["sum", { emit: emitSum }],
  ["reshape", { emit: emitReshape }],
];
