/**
 * Bias correction as a pass: rounding weights and activations shifts the mean of every channel a little, and the shift
 * adds up from layer to layer. It is measured on some samples, layer by layer, each with all earlier ones already
 * corrected, and taken off the bias.
 *
 * Both models run compiled. In the quantized one every layer's result y becomes y - d with d = mean(y) - mean(float y),
 * so that one run measures what a layer does when those before it are right.
 * Source: Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019, section 4.2.
 */

import { compile } from "../../compile/index.ts";
import type { Engine } from "../../engine/engine.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { flattenTree } from "../../graph/tree.ts";
import { removeDead } from "../../graph/rewrite.ts";
import type { Attrs } from "../../ops/op.ts";
import { fromArray, zeros } from "../../tensor/create.ts";
import type { Shape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { DerivedObserverOrFakeQuantize, convertPt2e } from "../../quantization/pt2e/index.ts";
import { withoutObservers } from "./calibration-job.ts";
import { observerNodes } from "./observer-nodes.ts";
import type { PassContext, QuantizePass } from "./passes.ts";

const SAMPLES = 128;
/** Layers with a bias, and the axis of their output that it belongs to; -1 is the last. */
const channelAxis: Readonly<Record<string, number>> = { conv1d: 1, conv2d: 1, conv3d: 1, linear: -1 };

const layersOf = (graph: Graph): Node[] => graph.nodes.filter(({ target }) => Object.hasOwn(channelAxis, target));

/** Axes of a layer's result that are not its channels. */
function otherAxes(node: Node): number[] {
  const { shape } = node.outputs[0]!.type!;
  const axis = (channelAxis[node.target]! + shape.length) % shape.length;
  return shape.map((_, i) => i).filter((i) => i !== axis);
}

interface ChannelMeans {
  /** [1, C, 1, ...]. */
  readonly means: Value;
  /** The node that reads the layer's result for them. */
  readonly reader: Node;
}

/**
 * Adds the mean of each channel of a layer's result. Images are averaged by the engine first, so that it hands out one
 * number an image.
 */
function meansBehind(graph: Graph, node: Node): ChannelMeans {
  const [y] = node.outputs;
  const behind = (value: Value, target: string, shape: Shape, attrs: Attrs): Node =>
    graph.insertAfter(
      { kind: "operator", target, args: [value], attrs, types: [{ dtype: "float32", shape }] },
      value.node,
    );
  const dim = otherAxes(node);
  const given = y!.type!.shape;
  const shape = given.map((size, i) => (dim.includes(i) ? 1 : size));
  if (node.target !== "conv2d") {
    const reader = behind(y!, "mean", shape, { dim, keepdim: true });
    return { means: reader.output, reader };
  }
  const reader = behind(y!, "adaptiveAvgPool2d", [given[0]!, given[1]!, 1, 1], { outputSize: [1, 1] });
  return { means: behind(reader.output, "mean", shape, { dim, keepdim: true }).output, reader };
}

/** The channel means of all layers of the float model. */
function meansModel({ graph }: GraphModule): GraphModule {
  const copy = graph.cloneWithMap().graph;
  copy.outputs = layersOf(copy).map((node) => meansBehind(copy, node).means);
  copy.outputTree = null;
  removeDead(copy);
  return new GraphModule(copy);
}

/** The quantized model, whose layers are shifted to the means it is given, and which returns the shifts. */
function shiftsModel({ graph }: GraphModule): GraphModule {
  const copy = graph.cloneWithMap().graph;
  const head = copy.nodes.find(({ kind }) => kind !== "input") ?? null;
  copy.outputs = layersOf(copy).map((node, i) => {
    const [y] = node.outputs;
    const { means, reader } = meansBehind(copy, node);
    const type = means.type!;
    const wanted = copy.insert({ kind: "input", target: `mean_${i}`, types: [type] }, head).output;
    const shift = copy.insertAfter(
      { kind: "operator", target: "sub", args: [means, wanted], types: [type] },
      means.node,
    );
    const right = copy.insertAfter(
      { kind: "operator", target: "sub", args: [y!, shift.output], types: [y!.type] },
      shift,
    );
    copy.replaceUses(y!, right.output, [reader, right]);
    return shift.output;
  });
  copy.outputTree = null;
  return new GraphModule(copy);
}

function run(model: GraphModule, batches: readonly (readonly unknown[])[], engine: Engine | undefined): Tensor[][] {
  const executable = compile(model, { fallback: "reference", ...(engine && { engine }) });
  try {
    return batches.map((inputs) => flattenTree([executable.run(...inputs)]).leaves);
  } finally {
    executable.dispose();
  }
}

/** Mean shift of each layer's channels over the batches. */
function measure(
  converted: GraphModule,
  float: GraphModule,
  batches: readonly (readonly Tensor[])[],
  engine: Engine | undefined,
): Float64Array[] {
  const means = run(meansModel(float), batches, engine);
  const shifts = run(
    shiftsModel(converted),
    batches.map((inputs, i) => [...inputs, ...means[i]!]),
    engine,
  );
  return shifts[0]!.map((first, layer) =>
    Float64Array.from(first.data, (_, c) => shifts.reduce((sum, one) => sum + one[layer]!.data[c]!, 0) / shifts.length),
  );
}

/** The stored tensor behind a bias, observed or not. */
function biasNode(graph: Graph, layer: Node): Node | null {
  let arg = layer.args[2] ?? null;
  while (arg instanceof Value && arg.node.kind === "module") arg = arg.node.args[0] ?? null;
  return arg instanceof Value && graph.tensorOf(arg) ? arg.node : null;
}

/** A copy of the graph with the shifts taken off its biases. */
function corrected(prepared: Graph, shifts: readonly Float64Array[]): Graph {
  const graph = prepared.cloneWithMap().graph;
  layersOf(graph).forEach((layer, i) => {
    const own = biasNode(graph, layer);
    if (own?.output.users.length !== 1) return;
    const before = graph.attributes.get(own.target)!.data;
    const values = Array.from(shifts[i]!, (shift, c) => Number(before[c]) - shift);
    graph.attributes.set(own.target, fromArray(values, [values.length]));
  });
  return graph;
}

async function correct(prepared: GraphModule, { float, samples, engine }: PassContext): Promise<GraphModule> {
  const batches = await samples(SAMPLES);
  if (batches.length === 0) return prepared;
  const floatBiases = withoutObservers(
    prepared.graph,
    ({ observer }) => observer instanceof DerivedObserverOrFakeQuantize,
  );
  const shifts = measure(convertPt2e(new GraphModule(floatBiases)), float, batches, engine);
  return new GraphModule(corrected(prepared.graph, shifts));
}

/** Layers without a bias get one of zeros, so that it is quantized like the others. */
function withBiases({ graph: given }: GraphModule): GraphModule {
  const graph = given.cloneWithMap().graph;
  for (const layer of layersOf(graph)) {
    const [x, weight, bias] = layer.args;
    const stored = graph.tensorOf(weight!);
    if ((bias ?? null) !== null || stored?.dtype !== "float32") continue;
    const zero = graph.attribute(graph.freeAttributeName("corrected_bias"), zeros([stored.shape[0]!]));
    graph.setArgs(layer, [x!, weight!, zero]);
  }
  return new GraphModule(graph);
}

export const biasCorrection: QuantizePass = {
  name: "bias-correction",
  beforeCalibration: withBiases,
  afterCalibration: correct,
};

/**
 * Biases that int32 in units of the product's scale cannot hold stay float: a channel of nearly zero weights has a
 * scale so small that its bias would be cut off. Returns their layers' names.
 */
export function keepLargeBiases(graph: Graph): string[] {
  const kept: string[] = [];
  for (const { node, observer } of observerNodes(graph)) {
    if (!(observer instanceof DerivedObserverOrFakeQuantize)) continue;
    const bias = graph.tensorOf(node.args[0]!);
    const { scale } = observer.calculateQParams();
    const unit = (c: number): number => scale.data[scale.numel === 1 ? 0 : c]!;
    if (bias && Array.from(bias.data).every((v, c) => Math.abs(Number(v)) / unit(c) < LARGEST_BIAS)) continue;
    kept.push(node.users[0]?.outputs[0]?.name ?? "");
    graph.replaceUses(node.output, node.args[0]!);
    graph.remove(node);
  }
  return kept;
}

/** Leaves room for the sum that the bias is added to. */
const LARGEST_BIAS = 2 ** 30;
