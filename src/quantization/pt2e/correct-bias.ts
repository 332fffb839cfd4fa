/**
 * Bias correction of converted graphs: rounding weights and activations shifts the mean of every channel a little, and
 * the shift adds up from layer to layer. One run over a batch takes it back, layer by layer: each layer's mean is
 * measured with all earlier ones already corrected, and the difference to the float model goes into the bias.
 * Source: Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019, section 4.2
 * (here with data, as torch/ao/quantization/_correct_bias.py).
 */

import { QuantError } from "../../errors.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { interpret } from "../../graph/interpret.ts";
import { foldBatchNorm } from "../../graph/passes/fold-batch-norm.ts";
import { flattenTree } from "../../graph/tree.ts";
import { noGrad } from "../../tensor/context.ts";
import { fromArray } from "../../tensor/create.ts";
import { Tensor } from "../../tensor/tensor.ts";

/** Layers with a bias, and the axis of their output that it belongs to; -1 is the last. */
const CHANNEL_AXIS: Readonly<Record<string, number>> = { conv1d: 1, conv2d: 1, conv3d: 1, linear: -1 };

const isLayer = ({ kind, target }: Node): boolean => kind === "operator" && Object.hasOwn(CHANNEL_AXIS, target);

/** Number of channels of a layer's output, and the elements between two of one position. */
function layoutOf({ target }: Node, { shape, rank }: Tensor): { channels: number; inner: number } {
  const axis = (CHANNEL_AXIS[target]! + rank) % rank;
  return { channels: shape[axis]!, inner: shape.slice(axis + 1).reduce((a, b) => a * b, 1) };
}

/** Calls `run` for every run of elements of one channel: start, end, channel. */
function forEachRun(node: Node, y: Tensor, run: (from: number, to: number, channel: number) => void): void {
  const { channels, inner } = layoutOf(node, y);
  for (let from = 0, channel = 0; from < y.numel; from += inner) {
    run(from, from + inner, channel);
    channel = channel + 1 === channels ? 0 : channel + 1;
  }
}

function channelMeans(node: Node, y: Tensor): Float64Array {
  const { channels } = layoutOf(node, y);
  const sums = new Float64Array(channels);
  const { data } = y;
  forEachRun(node, y, (from, to, channel) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += data[i]!;
    sums[channel]! += sum;
  });
  return sums.map((sum) => sum / (y.numel / channels));
}

function shifted(node: Node, y: Tensor, shift: Float64Array): Tensor {
  const { data } = y;
  const out = new Float32Array(y.numel);
  forEachRun(node, y, (from, to, channel) => {
    const by = shift[channel]!;
    for (let i = from; i < to; i++) out[i] = data[i]! - by;
  });
  return new Tensor("float32", y.shape, out);
}

/** Subtracts a shift from a layer's bias, which is made if there is none. */
function shiftBias(graph: Graph, node: Node, shift: Float64Array): void {
  const [x, weight, bias] = node.args;
  const own = bias instanceof Value ? graph.tensorOf(bias) : null;
  if (bias instanceof Value && own?.dtype !== "float32") {
    throw new QuantError(
      "correctBias",
      { node: node.target, bias: bias.name },
      "only float biases stored in the graph can be corrected",
    );
  }
  const corrected = fromArray(
    Array.from(shift, (v, c) => (own?.data[c] ?? 0) - v),
    [shift.length],
  );
  graph.setArgs(node, [x!, weight!, graph.attribute(graph.freeAttributeName("corrected_bias"), corrected)]);
}

/**
 * A copy of a converted graph whose convolutions and linear layers have, over these inputs, the channel means they
 * have in the float graph it was made from. More inputs give steadier means; a few hundred are enough.
 * @param inputs the graph's inputs, one batch.
 * @throws QuantError when the graphs have different layers, or a bias is quantized.
 */
export function correctBias(converted: GraphModule, float: GraphModule, inputs: readonly unknown[]): GraphModule {
  const { leaves } = flattenTree(inputs);
  const reference = float.graph.clone();
  foldBatchNorm.run(reference);
  const graph = converted.graph.clone();
  const wanted: { target: string; means: Float64Array }[] = [];
  noGrad(() =>
    interpret(reference, leaves, {
      onNode: (node, [y]) =>
        void (isLayer(node) && wanted.push({ target: node.target, means: channelMeans(node, y!) })),
    }),
  );
  const layers = graph.nodes.filter(isLayer).map(({ target }) => target);
  if (layers.join() !== wanted.map(({ target }) => target).join()) {
    throw new QuantError(
      "correctBias",
      { converted: layers.length, float: wanted.length },
      "the graphs do not have the same layers in the same order",
    );
  }
  const shifts: (readonly [Node, Float64Array])[] = [];
  noGrad(() =>
    interpret(graph, leaves, {
      onNode(node, [y]) {
        if (!isLayer(node)) return undefined;
        const { means } = wanted[shifts.length]!;
        const shift = channelMeans(node, y!).map((mean, c) => mean - means[c]!);
        shifts.push([node, shift]);
        return [shifted(node, y!, shift)];
      },
    }),
  );
  for (const [node, shift] of shifts) shiftBias(graph, node, shift);
  graph.collectGarbage();
  return new GraphModule(graph, false);
}
