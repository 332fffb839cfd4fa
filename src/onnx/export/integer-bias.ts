/**
 * Biases of integer layers as int32 in units of the product's scale, the form that operators on integers take:
 *
 *     layer(dequantize(x), dequantize(w), b)   →   layer(…, dequantize(round(b / (sx sw))))
 *
 * onnxruntime does this to float biases of quantized layers by itself. In the file, the integers are the same for every reader.
 */

import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { Builder } from "../../graph/rewrite.ts";
import type { Pass } from "../../graph/rewrite.ts";
import {
  decomposedDequantizePerChannelOp,
  decomposedDequantizePerTensorOp,
  decomposedQuantizePerChannel,
  decomposedQuantizePerTensor,
} from "../../ops/quantize/decomposed.ts";
import { noGrad } from "../../tensor/context.ts";
import { fromArray, zeros } from "../../tensor/create.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";

const LAYER = /^(linear|conv[123]d)$/;
const RANGE = { quantMin: dtypeInfo.int32.min, quantMax: dtypeInfo.int32.max, dtype: "int32" } as const;

/** The node that dequantizes bytes, when an argument comes from one. */
function dequantizeOf(arg: Argument | undefined): Node | null {
  if (!(arg instanceof Value)) return null;
  const { node } = arg;
  const isPair =
    node.target === decomposedDequantizePerTensorOp.name || node.target === decomposedDequantizePerChannelOp.name;
  return isPair && dtypeInfo[node.attrs["dtype"] as DType].bits === 8 ? node : null;
}

/** f32(sx * sw), as kernels multiply them: one, or one an output channel; null when they are not stored like that. */
function productScales(graph: Graph, x: Node, weight: Node): number | Tensor | null {
  const { fround } = Math;
  const [sx, sw] = [x.args[1], weight.args[1]];
  if (typeof sx !== "number") return null;
  if (typeof sw === "number") return fround(fround(sx) * fround(sw));
  const stored = graph.tensorOf(sw ?? null);
  if (!stored || weight.attrs["axis"] !== 0) return null;
  return fromArray(
    Array.from(stored.data, (s) => fround(fround(sx) * fround(s))),
    [stored.numel],
  );
}

function quantized(bias: Tensor, scale: number | Tensor): Tensor {
  return noGrad(() =>
    typeof scale === "number"
      ? decomposedQuantizePerTensor(bias, scale, 0, RANGE)
      : decomposedQuantizePerChannel(bias, scale, null, 0, RANGE),
  );
}

function dequantized(build: Builder, integers: Value, scale: number | Tensor): Value {
  const attrs = { ...RANGE, outDType: "float32" } as const;
  if (typeof scale === "number")
    return build.call(decomposedDequantizePerTensorOp, [integers, scale, 0], { ...attrs, axis: null });
  const zeroPoint = zeros(scale.shape, { dtype: "int64" });
  const parameters = [build.constant(scale, "bias_scale"), build.constant(zeroPoint, "bias_zero_point")];
  return build.call(decomposedDequantizePerChannelOp, [integers, ...parameters], { ...attrs, axis: 0 });
}

function convert(graph: Graph, node: Node): void {
  const [x, weight] = [dequantizeOf(node.args[0]), dequantizeOf(node.args[1])];
  const bias = graph.tensorOf(node.args[2] ?? null);
  const scale = x && weight && bias?.dtype === "float32" ? productScales(graph, x, weight) : null;
  if (!bias || scale === null) return;
  const integers = quantized(bias, scale);
  // With a scale so small that the bias would be cut off, it stays as it is.
  if (Array.from(integers.data).some((v) => v <= RANGE.quantMin || v >= RANGE.quantMax)) return;
  const build = new Builder(graph, node);
  const real = dequantized(build, build.constant(integers, "bias_integers"), scale);
  graph.setArgs(node, [node.args[0]!, node.args[1]!, real, ...node.args.slice(3)]);
}

export const integerBias: Pass = {
  name: "integer-bias",
  run(graph) {
    for (const node of [...graph.nodes]) if (LAYER.test(node.target)) convert(graph, node);
  },
};
