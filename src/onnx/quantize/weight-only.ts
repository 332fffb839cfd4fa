/**
 * Weight-only quantization: stored weights become integers with a scale a channel, or one a group of input channels,
 * and are dequantized where they are read. Rounded to nearest; no data is needed.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph, Node, Value } from "../../graph/graph.ts";
import { Builder, removeDead } from "../../graph/rewrite.ts";
import { dequantizeAffineOp } from "../../ops/quantize/affine.ts";
import { decomposedDequantizePerChannelOp, decomposedDequantizePerTensorOp } from "../../ops/quantize/decomposed.ts";
import { quantizeToAffine } from "../../quantization/weights/affine-weight.ts";
import type { AffineWeight } from "../../quantization/weights/affine-weight.ts";
import type { Shape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { DeferredTensor, derived, isDeferred } from "../deferred-tensor.ts";
import type { Decision } from "./decide.ts";
import { weightAxis } from "./operators.ts";
import { weightRange } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** Axis along which input channels are grouped. */
const groupedAxis = (target: string): number => (weightAxis[target] === 1 ? 0 : 1);

/** Block of the weight that has one scale; groups that do not divide the input channels are the whole of them. */
export function weightBlock(
  target: string,
  shape: Shape,
  { weights }: Settings,
): { block: number[]; grouped: boolean } {
  const { perChannel, groupSize } = weights;
  const axis = weightAxis[target]!;
  const along = groupedAxis(target);
  const grouped = groupSize !== null && groupSize < shape[along]! && shape[along]! % groupSize === 0;
  if (grouped) return { block: shape.map((_, i) => (i === along ? groupSize : 1)), grouped };
  return { block: shape.map((size, i) => (i === axis && perChannel ? 1 : size)), grouped };
}

/** Makers of the integers of weights in files: the last weight's are at hand while all its parts are written. */
type Latest = (weight: Tensor, make: () => AffineWeight) => AffineWeight;

export function keepLatest(): Latest {
  let last: { readonly weight: Tensor; readonly made: AffineWeight } | null = null;
  return (weight, make) => {
    if (last?.weight !== weight) {
      last = null; // let go before the next is made
      last = { weight, made: make() };
    }
    return last.made;
  };
}

/** A weight as integers, by the settings; of a weight that stays in its file they are made when they are written. */
export function quantizeWeight(weight: Tensor, target: string, settings: Settings, latest: Latest): AffineWeight {
  const [quantMin, quantMax] = weightRange(settings);
  const { block } = weightBlock(target, weight.shape, settings);
  const affine = {
    granularity: { blockSize: () => block },
    mappingType: settings.weights.symmetric ? "SYMMETRIC" : "ASYMMETRIC",
    range: { quantMin, quantMax },
  } as const;
  if (!isDeferred(weight)) return quantizeToAffine(weight, affine);
  const make = (): AffineWeight =>
    latest(weight, () => quantizeToAffine(new Tensor(weight.dtype, weight.shape, weight.data), affine));
  const kept = weight.shape.map((size, i) => size / block[i]!);
  return {
    qdata: new DeferredTensor("int8", weight.shape, () => make().qdata.data),
    scale: new DeferredTensor("float32", kept, () => make().scale.data),
    zeroPoint: new DeferredTensor("int8", kept, () => make().zeroPoint.data),
    blockSize: block,
  };
}

function inOneRow(tensor: Tensor): Tensor {
  return derived(tensor, tensor.dtype, [tensor.numel], () => tensor.data);
}

function dequantized(graph: Graph, node: Node, weight: Tensor, settings: Settings, latest: Latest): Value {
  const [quantMin, quantMax] = weightRange(settings);
  const build = new Builder(graph, node);
  const { qdata, scale, zeroPoint, blockSize } = quantizeWeight(weight, node.target, settings, latest);
  const q = build.constant(qdata, "quantized_weight");
  const range = { quantMin, quantMax };
  if (weightBlock(node.target, weight.shape, settings).grouped) {
    const zeros = settings.weights.symmetric ? null : build.constant(zeroPoint, "weight_zero_point");
    const attrs = { ...range, blockSize, zeroPointDomain: "INT", outDType: "float32" };
    return build.call(dequantizeAffineOp, [q, build.constant(scale, "weight_scale"), zeros], attrs);
  }
  const attrs = { ...range, dtype: "int8", outDType: "float32" };
  if (!settings.weights.perChannel)
    return build.call(decomposedDequantizePerTensorOp, [q, scale.item(), zeroPoint.item()], { ...attrs, axis: null });
  const scales = build.constant(inOneRow(scale), "weight_scale");
  const zeros = build.constant(inOneRow(zeroPoint), "weight_zero_point");
  return build.call(decomposedDequantizePerChannelOp, [q, scales, zeros], { ...attrs, axis: weightAxis[node.target]! });
}

/** A copy of the model with the weights of the chosen operators as integers. */
export function quantizeWeights(
  { graph: given }: GraphModule,
  settings: Settings,
  decideNodes: (graph: Graph) => ReadonlyMap<Node, Decision>,
): GraphModule {
  const graph = given.cloneWithMap().graph;
  const made = new Map<Value, Value>();
  const latest = keepLatest();
  for (const [node, { quantized }] of decideNodes(graph)) {
    if (!quantized) continue;
    const [x, stored, ...rest] = node.args as [Value, Value, ...(Value | null)[]];
    const weight = made.get(stored) ?? dequantized(graph, node, graph.tensorOf(stored)!, settings, latest);
    made.set(stored, weight);
    graph.setArgs(node, [x, weight, ...rest]);
  }
  removeDead(graph);
  return new GraphModule(graph);
}
