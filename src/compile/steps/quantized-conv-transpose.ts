/**
 * quantizedConvTranspose (one and two spatial axes) → integer products, one a phase of the stride.
 */

import type { Node } from "../../graph/graph.ts";
import type { ConvShape } from "../../kernels/qconv/conv.ts";
import { NO_BORDER } from "../../kernels/qconv/image.ts";
import type { Border } from "../../kernels/qconv/image.ts";
import { transposedBorder, transposedParts } from "../../kernels/qconv/transposed.ts";
import { PartBlock } from "../../kernels/qgemm/parts.ts";
import type { QuantizedConvTransposeAttrs } from "../../ops/quantized/conv-transpose.ts";
import { convRounding } from "../../ops/quantized/engines.ts";
import type { Shape } from "../../tensor/shape.ts";
import { numel } from "../../tensor/shape.ts";
import { imageOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { bindParts } from "./parts.ts";
import { pair } from "./quantized-conv.ts";
import { addRealLayer, realsFor } from "./quantized-reals.ts";
import { epilogueOf, refuseQuantized, weightZeroPoints } from "./quantized-epilogue.ts";

/** The kernels' description of a transposed convolution with weight [in, out / groups, ...kernel]. */
function shapeOf(weight: Shape, attrs: QuantizedConvTransposeAttrs): ConvShape {
  return {
    inChannels: weight[0]!,
    outChannels: weight[1]! * attrs.groups,
    kernel: pair(weight.slice(2), 1),
    stride: pair(attrs.stride, 1),
    padding: pair(attrs.padding, 0),
    dilation: pair(attrs.dilation, 1),
    groups: attrs.groups,
  };
}

/** Border the kernels read around the first argument. */
function borderOf(node: Node, argument: number): Border {
  const [x, w] = node.args;
  const weight = w instanceof Object ? w.type?.shape : undefined;
  const input = x instanceof Object ? imageOf(x.type?.shape ?? []) : null;
  const output = imageOf(node.outputs[0]?.type?.shape ?? []);
  if (argument !== 0 || !weight || !input || !output) return NO_BORDER;
  return transposedBorder(shapeOf(weight, node.attrs as QuantizedConvTransposeAttrs), input, output);
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  const attrs = node.attrs as QuantizedConvTransposeAttrs;
  const weight = plan.constant(w!);
  const bias = plan.constant(b ?? null);
  const type = plan.type(x!);
  const refused = refuseQuantized(type, weight, bias, b !== null);
  if (refused || !weight) return refused ?? "";
  if (attrs.stride.length > 2) return "there is no integer kernel for three spatial axes";
  const rounding = convRounding(attrs.engine, weight.qparams!, attrs.groups, attrs.outputPadding);
  const output = plan.write(node.output, "image");
  const input = plan.read(x!, node, { kind: "image", border: borderOf(node, 0) });
  const reals = rounding === "onednn" ? realsFor(plan, output) : null;
  const parts = transposedParts(
    {
      shape: shapeOf(weight.shape, attrs),
      input: input.image,
      output: (reals ?? output).image,
      weights: weight.data as Int8Array,
      weightZeroPoints: weightZeroPoints(weight),
      epilogue: epilogueOf(type, weight, bias, output.type, { rounding }),
    },
    plan.choice,
  );
  const block = new PartBlock(parts, plan.engine.threads);
  const operations = 2 * numel(type.shape) * numel(weight.shape.slice(1));
  const kernel = parts[0] ? `qconv transposed ${parts[0].weights.variant}` : "qconv transposed";
  const reads = [input];
  const bind = (place: Place, target: Buffer): (() => void) => bindParts(place, block, input, target, operations);
  if (reals) addRealLayer(node, plan, { kernel, operations, reads, output, other: null, relu: false, bind }, reals);
  else
    plan.step({
      node, kernel, precision: "int8", why: "", operations, reads, writes: [output],
      bind: (place) => bind(place, output),
    }); // prettier-ignore
}

export const quantizedConvTransposeRules: readonly (readonly [string, StepRule])[] = [
  ["quantizedConvTranspose", { border: borderOf, emit }],
];
