/**
 * Float operators whose result depends, element by element, on their operands alone, and by which kernel and number the
 * engine computes each.
 */

import type { Node } from "../../graph/graph.ts";
import * as binary from "../../kernels/f32-binary/kinds.ts";
import * as unary from "../../kernels/f32-unary/kinds.ts";
import type { Attrs } from "../../ops/op.ts";
import { SELU_ALPHA, SELU_SCALE } from "../../ops/activation-smooth.ts";
import { clampTargets } from "./clamps.ts";

/** The number by which f32_binary knows each operator of two operands. */
export const binaryKinds = {
  add: binary.ADD,
  sub: binary.SUB,
  mul: binary.MUL,
  div: binary.DIV,
  maximum: binary.MAXIMUM,
  minimum: binary.MINIMUM,
} as const;

export type BinaryTarget = keyof typeof binaryKinds;

type Parameters = readonly [a: number, b: number, c: number];

/** A kernel of f32-unary, the function's number there, and its parameters. */
export interface UnaryCall {
  readonly kernel: "f32_exponential" | "f32_unary";
  readonly kind: number;
  readonly parameters: Parameters;
}

type CallOf = (attrs: Attrs) => UnaryCall;

const calls =
  (kernel: UnaryCall["kernel"]) =>
  (kind: number, parameters: (attrs: Attrs) => Parameters = () => [0, 0, 0]): CallOf =>
  (attrs) => ({ kernel, kind, parameters: parameters(attrs) });

const exponential = calls("f32_exponential");
const simple = calls("f32_unary");

const unaryCalls: ReadonlyMap<string, CallOf> = new Map([
  ["sigmoid", exponential(unary.SIGMOID)],
  ["silu", exponential(unary.SILU)],
  ["tanh", exponential(unary.TANH)],
  ["gelu", (attrs) => exponential(attrs["approximate"] === "tanh" ? unary.GELU_TANH : unary.GELU)(attrs)],
  ["erf", simple(unary.ERF)],
  ["exp", exponential(unary.EXP)],
  ["elu", exponential(unary.ELU, ({ alpha }) => [1, alpha as number, 1])],
  ["celu", exponential(unary.ELU, ({ alpha }) => [1, alpha as number, 1 / (alpha as number)])],
  ["selu", exponential(unary.ELU, () => [SELU_SCALE, SELU_ALPHA * SELU_SCALE, 1])],
  ["mish", exponential(unary.MISH)],
  ["softplus", exponential(unary.SOFTPLUS, ({ beta, threshold }) => [beta as number, threshold as number, 0])],
  ["logSigmoid", exponential(unary.LOG_SIGMOID)],
  ["hardsigmoid", simple(unary.HARD_SIGMOID)],
  ["hardswish", simple(unary.HARD_SWISH)],
  ["leakyRelu", simple(unary.LEAKY_RELU, ({ negativeSlope }) => [negativeSlope as number, 0, 0])],
  ["threshold", simple(unary.THRESHOLD, ({ threshold, value }) => [threshold as number, value as number, 0])],
  ["softsign", simple(unary.SOFTSIGN)],
  ["neg", simple(unary.NEG)],
  ["abs", simple(unary.ABS)],
  ["sqrt", simple(unary.SQRT)],
  ["rsqrt", simple(unary.RSQRT)],
  ["reciprocal", simple(unary.RECIPROCAL)],
  ["floor", simple(unary.FLOOR)],
  ["ceil", simple(unary.CEIL)],
  ["trunc", simple(unary.TRUNC)],
  ["round", simple(unary.ROUND)],
  ["log", simple(unary.LOG)],
]);

/** Powers that are no powers. */
const powers: ReadonlyMap<unknown, CallOf> = new Map([
  [2, simple(unary.SQUARE)],
  [3, simple(unary.CUBE)],
  [0.5, simple(unary.SQRT)],
  [-0.5, simple(unary.RSQRT)],
  [-1, simple(unary.RECIPROCAL)],
]);

export const unaryTargets: readonly string[] = [...unaryCalls.keys(), "pow"];

/** How a node with one float operand (and perhaps a number) is computed; null when it is something else. */
export function unaryCallOf({ kind, target, args, attrs }: Node): UnaryCall | null {
  if (kind !== "operator") return null;
  const call = target === "pow" ? powers.get(args[1]) : unaryCalls.get(target);
  return call ? call(attrs) : null;
}

/** Whether a node is any of these, or a clamp. */
export function isPointwise(node: Node): boolean {
  const isKnown = node.target in binaryKinds || clampTargets.includes(node.target);
  return node.kind === "operator" && (isKnown || unaryCallOf(node) !== null);
}
