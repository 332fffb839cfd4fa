/**
 * quantizedConv and quantizedConvFloat (one and two spatial axes) → the integer convolution over bordered images.
 */

import type { Node } from "../../graph/graph.ts";
import { convBorder, convParts } from "../../kernels/qconv/conv.ts";
import type { ConvShape } from "../../kernels/qconv/conv.ts";
import { NO_BORDER } from "../../kernels/qconv/image.ts";
import type { Border } from "../../kernels/qconv/image.ts";
import { PartBlock } from "../../kernels/qgemm/parts.ts";
import type { QuantizedConvAttrs } from "../../ops/quantized/conv.ts";
import { convRounding } from "../../ops/quantized/engines.ts";
import type { Shape } from "../../tensor/shape.ts";
import { numel } from "../../tensor/shape.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { imageOf } from "../form.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";
import { bindParts } from "./parts.ts";
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
  const [x] = node.args;
  const input = x instanceof Object ? imageOf(x.type?.shape ?? []) : null;
  const output = imageOf(node.outputs[0]?.type?.shape ?? []);
  if (argument !== 0 || !input || !output) return NO_BORDER;
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
  if (!isFloat && convRounding(attrs.engine, weight.qparams!, attrs.groups) !== "fbgemm")
    return `the kernels round as fbgemm does, not as ${attrs.engine}`;
  const shape = convShapeOf(weight.shape, attrs);
  const output = plan.write(node.output, "image");
  const input = plan.read(x!, node, { kind: "image", border: borderOf(node, 0, weight.shape) });
  const parts = convParts(
    {
      shape,
      input: input.image,
      output: output.image,
      weights: weight.data as Int8Array,
      weightZeroPoints: weightZeroPoints(weight),
      epilogue: epilogueOf(type, weight, bias, output.type, !isFloat && attrs.relu),
    },
    { dot: plan.engine.dot },
  );
  const block = new PartBlock(parts, plan.engine.threads);
  const operations = convOperations(output.type, weight.shape);
  plan.step({
    node,
    kernel: parts[0] ? `qconv ${parts[0].weights.variant}` : "qconv",
    precision: "int8",
    why: "",
    operations,
    reads: [input],
    writes: [output],
    bind: (place) => bindParts(place, block, input, output, operations),
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
];
