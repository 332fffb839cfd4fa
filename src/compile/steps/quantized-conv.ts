/**
 * quantizedConv and quantizedConvFloat (one and two spatial axes) → the integer convolution over bordered images, with a
 * sum behind it in its epilogue.
 */

import type { Node, Value } from "../../graph/graph.ts";
import { convBorder, convParts, isDepthwise } from "../../kernels/qconv/conv.ts";
import type { ConvShape } from "../../kernels/qconv/conv.ts";
import { NO_BORDER } from "../../kernels/qconv/image.ts";
import type { Border } from "../../kernels/qconv/image.ts";
import { PartBlock } from "../../kernels/qgemm/parts.ts";
import type { Epilogue } from "../../kernels/qgemm/post.ts";
import type { QuantizedConvAttrs } from "../../ops/quantized/conv.ts";
import { convRounding } from "../../ops/quantized/engines.ts";
import type { Shape } from "../../tensor/shape.ts";
import { numel } from "../../tensor/shape.ts";
import type { Tensor, TensorType } from "../../tensor/tensor.ts";
import { imageOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { bindParts } from "./parts.ts";
import { addRealLayer, realsFor } from "./quantized-reals.ts";
import { isBounded, sumBehind } from "./quantized-sum.ts";
import { epilogueOf, refuseQuantized, weightZeroPoints } from "./quantized-epilogue.ts";

/** A spatial attribute as [height, width]; one axis is the width. */
export function pair(values: readonly number[], height: number): readonly [number, number] {
  return values.length === 1 ? [height, values[0]!] : [values[0]!, values[1]!];
}

/** The kernels' description of a convolution with weight [out, in / groups, ...kernel]. */
export function convShapeOf(
  weight: Shape,
  attrs: Pick<QuantizedConvAttrs, "stride" | "padding" | "dilation" | "groups">,
): ConvShape {
  return {
    inChannels: weight[1]! * attrs.groups,
    outChannels: weight[0]!,
    kernel: pair(weight.slice(2), 1),
    stride: pair(attrs.stride, 1),
    padding: pair(attrs.padding, 0),
    dilation: pair(attrs.dilation, 1),
    groups: attrs.groups,
  };
}

/** Border a convolution reads around its first argument. */
export function borderOf(node: Node, argument: number, weight: Shape): Border {
  if (argument !== 0) return NO_BORDER;
  const [x] = node.args;
  const input = x instanceof Object ? imageOf(x.type?.shape ?? []) : null;
  const output = imageOf(node.outputs[0]?.type?.shape ?? []);
  if (!input || !output) return NO_BORDER;
  return convBorder(convShapeOf(weight, node.attrs as QuantizedConvAttrs), input, output);
}

/** Multiplications and additions of a convolution. */
export function convOperations(output: TensorType, weight: Shape): number {
  return 2 * numel(output.shape) * numel(weight.slice(1));
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  const attrs = node.attrs as QuantizedConvAttrs;
  const weight = plan.constant(w!);
  const bias = plan.constant(b ?? null);
  const type = plan.type(x!);
  const refused = refuseQuantized(type, weight, bias, b !== null);
  if (refused || !weight) return refused ?? "";
  if (attrs.stride.length > 2) return "there is no integer kernel for three spatial axes";
  const isFloat = plan.type(node.output).dtype === "float32";
  const rounding = isFloat ? "fbgemm" : convRounding(attrs.engine, weight.qparams!, attrs.groups);
  const relu = !isFloat && attrs.relu;
  const epilogue = epilogueOf(type, weight, bias, plan.type(node.output), { relu, rounding });
  if (rounding === "onednn") {
    addReals(node, plan, { weight, epilogue, output: node.output, other: null });
    return;
  }
  const sum = isDepthwise(convShapeOf(weight.shape, attrs)) ? null : sumBehind(node, plan);
  const output = sum?.sum(epilogue.output);
  if (sum && output && isBounded({ ...epilogue, output }, weight, weightZeroPoints(weight))) {
    const add = (): void => addConv(node, plan, { weight, epilogue: { ...epilogue, output }, ...sum });
    if (plan.defer(sum.nodes, add)) return;
  }
  addConv(node, plan, { weight, epilogue, output: node.output, other: null });
}

/** conv + other, which PyTorch has for oneDNN only. */
function emitConvAdd(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b, other] = node.args;
  const [weight, bias] = [plan.constant(w!), plan.constant(b ?? null)];
  const type = plan.type(x!);
  const refused = refuseQuantized(type, weight, bias, b !== null);
  if (refused || !weight) return refused ?? "";
  const epilogue = epilogueOf(type, weight, bias, plan.type(node.output), { rounding: "onednn" });
  addReals(node, plan, { weight, epilogue, output: node.output, other: other as Value });
}

interface ConvStep {
  readonly weight: Tensor;
  readonly epilogue: Epilogue;
  readonly output: Value;
  /** The second operand, when the output is a sum. */
  readonly other: Value | null;
}

/** The parts of a convolution from one image to another. */
function partsOf(
  node: Node,
  plan: PlanBuilder,
  { weight, epilogue }: ConvStep,
  [input, output, other]: readonly [Buffer, Buffer, Buffer | null],
): { readonly block: PartBlock; readonly kernel: string; readonly operations: number } {
  const parts = convParts(
    {
      shape: convShapeOf(weight.shape, node.attrs as QuantizedConvAttrs),
      input: input.image,
      output: output.image,
      ...(other && { other: other.image }),
      weights: weight.data as Int8Array,
      weightZeroPoints: weightZeroPoints(weight),
      epilogue,
    },
    plan.choice,
  );
  return {
    block: new PartBlock(parts, plan.engine.threads),
    kernel: `qconv ${parts[0]?.weights.variant ?? ""}${other ? " + add" : ""}`,
    operations: convOperations(plan.type(node.output), weight.shape),
  };
}

function readInput(node: Node, plan: PlanBuilder, weight: Tensor): Buffer {
  return plan.read(node.args[0]!, node, { kind: "image", border: borderOf(node, 0, weight.shape) });
}

/** The convolution as oneDNN rounds. */
function addReals(node: Node, plan: PlanBuilder, step: ConvStep): void {
  const input = readInput(node, plan, step.weight);
  const other = step.other && plan.read(step.other, node, { kind: "image" });
  const output = plan.write(step.output, "image");
  const reals = realsFor(plan, output);
  const { block, kernel, operations } = partsOf(node, plan, step, [input, reals, null]);
  const bind = (place: Place, target: Buffer): (() => void) => bindParts(place, block, input, target, operations);
  const { relu } = node.attrs as QuantizedConvAttrs;
  addRealLayer(node, plan, { kernel, operations, reads: [input], output, other, relu, bind }, reals);
}

function addConv(node: Node, plan: PlanBuilder, step: ConvStep): void {
  const input = readInput(node, plan, step.weight);
  const other = step.other && plan.read(step.other, node, { kind: "image" });
  const output = plan.write(step.output, "image");
  const { block, kernel, operations } = partsOf(node, plan, step, [input, output, other]);
  plan.step({
    node,
    kernel,
    precision: "int8",
    why: "",
    operations,
    reads: other ? [input, other] : [input],
    writes: [output],
    bind: (place) => bindParts(place, block, input, output, operations, other),
  });
}

const conv: StepRule = {
  border: (node, argument) => {
    const weight = node.args[1];
    const shape = weight instanceof Object ? weight.type?.shape : undefined;
    return shape ? borderOf(node, argument, shape) : NO_BORDER;
  },
  emit,
};

export const quantizedConvRules: readonly (readonly [string, StepRule])[] = [
  ["quantizedConv", conv],
  ["quantizedConvFloat", conv],
  ["quantizedConvAdd", { ...conv, emit: emitConvAdd }],
];
