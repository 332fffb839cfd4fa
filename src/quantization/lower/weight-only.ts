/**
 * Linear layers in floats whose weight is dequantized: the weight stays in integers.
 *
 *     linear(x, dequantize(q, s, z), b)     a scale in all, an output channel, or a block of inputs
 *
 * The weight is the same floats either way; only the order of the sums differs, as it does between kernels.
 */

import { constant, literal, oneOf, op, optionalConstant, value } from "../../graph/match.ts";
import type { Match } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Builder, Rule } from "../../graph/rewrite.ts";
import { dequantizeAffineOp } from "../../ops/quantize/affine.ts";
import { weightOnlyLinearOp } from "../../ops/quantized/weight-only-linear.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { DEQUANTIZE } from "./edges.ts";

const PER_CHANNEL = "decomposedDequantizePerChannel";
/** Levels of four bits. */
const FOUR_BITS = 16;

const [x, bias] = [value(), optionalConstant()];
const integers = constant();
const weight = oneOf(
  op(DEQUANTIZE, integers, literal(), literal()),
  op(PER_CHANNEL, integers, constant(), optionalConstant()).where(({ attrs }) => attrs["axis"] === 0),
  op(dequantizeAffineOp.name, integers, constant(), optionalConstant()).where(
    ({ attrs }) => (attrs["blockSize"] as readonly number[])[0] === 1 && attrs["zeroPointDomain"] === "INT",
  ),
);

/** A parameter as [out, groups]: one number spread, or a stored tensor in that shape. */
function spread(given: number | Tensor, channels: number, groups: number): Tensor {
  const shape = [channels, groups];
  if (typeof given === "number") return new Tensor("float32", shape, new Float32Array(channels * groups).fill(given));
  return new Tensor("float32", shape, Float32Array.from(given.data, Number));
}

function parameters(match: Match, groupSize: number, depth: number, channels: number): [Tensor, Tensor | null] | null {
  const [, scale, zeroPoint] = match.node(weight).args;
  const groups = Math.ceil(depth / groupSize);
  const numbers = [scale, zeroPoint].map((arg) =>
    typeof arg === "number" ? arg : match.graph.tensorOf(arg ?? null),
  ) as [number | Tensor, number | Tensor | null];
  const fits = numbers.every((given) => !(given instanceof Tensor) || given.numel === channels * groups);
  if (!fits) return null;
  const [s, z] = numbers;
  return [spread(s, channels, groups), z === null || z === 0 ? null : spread(z, channels, groups)];
}

function rewrite(match: Match, build: Builder) {
  const q = match.tensor(integers)!;
  const { attrs } = match.node(weight);
  if (q.dtype !== "int8" || q.rank !== 2 || q.numel === 0 || attrs["outDType"] !== "float32") return null;
  if (match.value(x).type?.dtype !== "float32") return null;
  const [channels, depth] = q.shape as [number, number];
  const groupSize = (attrs["blockSize"] as readonly number[] | undefined)?.[1] ?? depth;
  const found = parameters(match, groupSize, depth, channels);
  if (!found) return null;
  const [scales, zeroPoints] = found;
  const [low, high] = [attrs["quantMin"] as number, attrs["quantMax"] as number];
  // Nibbles come in pairs.
  const bits = high - low < FOUR_BITS && (groupSize % 2 === 0 || groupSize >= depth) ? 4 : 8;
  const args = [
    match.arg(x),
    match.arg(integers),
    build.constant(scales, "_weight_scales"),
    zeroPoints && build.constant(zeroPoints, "_weight_zero_points"),
    match.arg(bias),
  ];
  return build.call(weightOnlyLinearOp, args, { groupSize, bits, low });
}

export const weightOnlyRules: readonly Rule[] = [rule(weightOnlyLinearOp.name, op("linear", x, weight, bias), rewrite)];
