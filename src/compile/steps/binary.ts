/**
 * Float operators of two operands: tensors of one shape in whatever form they have, tensors that broadcast, and numbers.
 */

import type { Argument, Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Buffer } from "../buffer.ts";
import { ELEMENT_WORK, LINES, sharedLines } from "../lines.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { whenRead } from "./byte-function.ts";
import { broadcastLines, imageLines, isPerChannel } from "./broadcast.ts";
import type { BroadcastLines } from "./broadcast.ts";
import { unlimited } from "./clamps.ts";
import type { Range } from "./clamps.ts";
import { constantF32, constantI32 } from "./conv.ts";
import { binaryKinds } from "./pointwise.ts";
import type { BinaryTarget } from "./pointwise.ts";

const FLOAT = 4;

/** What lines, operands and result of one call are, when it is bound. */
interface Call {
  readonly count: number;
  readonly length: number;
  /** Addresses of the tables of offsets: of both operands, then the result. */
  readonly tables: readonly number[];
  readonly addresses: readonly number[];
  readonly each: readonly boolean[];
}

function addStep(
  node: Node,
  plan: PlanBuilder,
  target: BinaryTarget,
  range: Range,
  buffers: { readonly reads: readonly Buffer[]; readonly output: Buffer },
  callOf: (place: Place) => Call,
): void {
  plan.step({
    node,
    kernel: `f32 ${target}`,
    precision: "float",
    why: "",
    operations: numel(buffers.output.type.shape),
    reads: buffers.reads,
    writes: [buffers.output],
    bind(place) {
      const { count, length, tables, addresses, each } = callOf(place);
      const [ta, tb, ty] = tables as [number, number, number];
      const [a, b, y] = addresses as [number, number, number];
      const args = [
        0, count, ta, tb, ty, a, b, y, length, binaryKinds[target], Number(each[0]), Number(each[1]), range.low, range.high,
      ] as const; // prettier-ignore
      return () => place.engine.share("f32_binary", [...args], LINES, ELEMENT_WORK * count * length);
    },
  });
}

/** What a step writes: its node's value, or, unless it is added late, that of the clamp behind it. */
function outputOf(node: Node, plan: PlanBuilder, isLate: boolean): { output: Value; range: Range } {
  return isLate ? { output: node.output, range: unlimited } : plan.absorbClamp(node);
}

/** Two float32 tensors of one shape; a clamp behind them is taken over. */
export function emitPair(node: Node, plan: PlanBuilder, target: BinaryTarget, isLate = false): void {
  const [a, b] = node.args;
  const { output: value, range } = outputOf(node, plan, isLate);
  const left = plan.read(a!, node, plan.isReadAsImage(value) ? { kind: "image" } : { kind: "any" });
  const right = plan.read(b!, node, { kind: left.form.kind });
  const output = plan.write(value, left.form.kind);
  const buffers = [left, right, output];
  addStep(node, plan, target, range, { reads: [left, right], output }, (place) => ({
    ...sharedLines(place, buffers),
    addresses: buffers.map(place.at),
    each: [true, true],
  }));
}

/** An operand that broadcasts: a buffer, or a number that gets a place of its own. */
type Operand = Buffer | number;

function shapeOf(arg: Argument, plan: PlanBuilder): Shape {
  return arg instanceof Value ? plan.type(arg).shape : [];
}

function readFlat(arg: Argument, node: Node, plan: PlanBuilder): Operand {
  return typeof arg === "number" ? arg : plan.read(arg, node, { kind: "flat" });
}

function bindLines(place: Place, lines: BroadcastLines, operands: readonly Operand[], output: Buffer): Call {
  const address = (operand: Operand): number =>
    typeof operand === "number" ? constantF32(place, [operand]) : place.at(operand);
  return {
    count: lines.starts[0]!.length,
    length: lines.length,
    tables: lines.starts.map((starts) =>
      constantI32(
        place,
        starts.map((start) => start * FLOAT),
      ),
    ),
    addresses: [...operands.map(address), place.at(output)],
    each: lines.each,
  };
}

/** The operand that has the result's shape, when the other only has numbers for its channels. */
function imageSide(args: readonly Argument[], shape: Shape, plan: PlanBuilder): 0 | 1 | null {
  const sides = args.map((arg) => shapeOf(arg, plan));
  const whole = sides.findIndex((own, i) => sameShape(own, shape) && isPerChannel(sides[1 - i]!, shape));
  return shape.length === 4 && whole >= 0 ? (whole as 0 | 1) : null;
}

/** Operands of different shapes, or numbers; a clamp behind them is taken over. */
function emitBroadcast(node: Node, plan: PlanBuilder, target: BinaryTarget, isLate: boolean): void {
  const args = node.args.slice(0, 2);
  const { output: value, range } = outputOf(node, plan, isLate);
  const { shape } = plan.type(value);
  const side = imageSide(args, shape, plan);
  const whole =
    side === null ? null : plan.read(args[side]!, node, { kind: plan.isReadAsImage(value) ? "image" : "any" });
  if (side !== null && whole?.form.kind === "image") {
    const small = readFlat(args[1 - side]!, node, plan);
    const output = plan.write(value, "image");
    const lines = imageLines(whole.image, shapeOf(args[1 - side]!, plan), shape, output.image);
    const ordered = <T>([first, second, ...rest]: readonly T[]): T[] =>
      side === 0 ? [first!, second!, ...rest] : [second!, first!, ...rest];
    const reads = typeof small === "number" ? [whole] : [whole, small];
    addStep(node, plan, target, range, { reads, output }, (place) => {
      const call = bindLines(place, lines, [whole, small], output);
      return {
        ...call,
        tables: ordered(call.tables),
        addresses: ordered(call.addresses),
        each: ordered(call.each),
      };
    });
    return;
  }
  const operands = args.map((arg) => readFlat(arg, node, plan));
  const output = plan.write(value, "flat");
  const lines = broadcastLines(
    shape,
    args.map((arg) => shapeOf(arg, plan)),
  );
  const reads = operands.filter((operand): operand is Buffer => typeof operand !== "number");
  addStep(node, plan, target, range, { reads, output }, (place) => bindLines(place, lines, operands, output));
}

/** Adds the step of an operator on float32 tensors and numbers; a string says why there is none. */
export function emitBinary(node: Node, plan: PlanBuilder, target: BinaryTarget): string | void {
  const [a, b] = node.args;
  const isFloat = (arg: Argument | undefined): boolean =>
    typeof arg === "number" || (arg instanceof Value && plan.type(arg).dtype === "float32");
  if (!isFloat(a) || !isFloat(b) || plan.type(node.output).dtype !== "float32")
    return "only float32 tensors and numbers have a kernel";
  const isPair = a instanceof Value && b instanceof Value && sameShape(plan.type(a).shape, plan.type(b).shape);
  return whenRead(node, plan, (isLate) =>
    isPair ? emitPair(node, plan, target, isLate) : emitBroadcast(node, plan, target, isLate),
  );
}

export const binaryRules: readonly (readonly [string, StepRule])[] = (Object.keys(binaryKinds) as BinaryTarget[]).map(
  (target) => [target, { emit: (node, plan) => emitBinary(node, plan, target) }],
);
