/**
 * Sums behind layers: a quantized convolution whose result is only added to another tensor becomes one step with the
 * sum in its epilogue, in the order of roundings that the separate operators have.
 *
 *     quantizedConv → quantizedAdd                                          through bytes
 *     quantizedConvFloat → add (+ relu) → quantize, other side dequantized  as reals
 */

import { Value } from "../../graph/graph.ts";
import type { Argument, Node } from "../../graph/graph.ts";
import { packPost } from "../../kernels/qgemm/post.ts";
import type { Epilogue } from "../../kernels/qgemm/post.ts";
import type { SumOutput } from "../../kernels/qgemm/sum.ts";
import { blockEnd } from "../../ops/quantized/requantize.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { PlanBuilder } from "../plan.ts";
import { decomposedQuantizer } from "./quantize.ts";
import { dequantizerOf, quantizerOf } from "./quantized-storage.ts";

/** A sum that a layer can take over. */
export interface Sum {
  /** The layer and what it takes over, in graph order. */
  readonly nodes: readonly Node[];
  /** The bytes added to its result, and the value it writes. */
  readonly other: Value;
  readonly output: Value;
  /** The epilogue's output; `layer` is the layer's own. */
  readonly sum: (layer: Epilogue["output"]) => SumOutput | null;
}

/** The only reader of a node's result, if it has one. */
function onlyReader(node: Node, plan: PlanBuilder): Node | null {
  return plan.graph.useCount(node.output) === 1 ? (node.output.users[0] ?? null) : null;
}

/** The other side of a pair of values of one shape, when it is computed. */
function otherSide(pair: Node, side: Value, plan: PlanBuilder): Value | null {
  const [a, b] = pair.args as [Argument, Argument];
  const other = a === side ? b : a;
  if (!(other instanceof Value) || other === side || plan.constant(other)) return null;
  return sameShape(plan.type(other).shape, plan.type(side).shape) ? other : null;
}

function sumOfBytes(node: Node, plan: PlanBuilder): Sum | null {
  const add = onlyReader(node, plan);
  if (add?.target !== "quantizedAdd") return null;
  const other = otherSide(add, node.output, plan);
  const [type, own] = [plan.type(add.output), plan.type(node.output)];
  const count = numel(type.shape);
  // Behind the last whole vector of 64 elements the operator rounds in another way (tail.ts).
  if (!other || own.dtype !== type.dtype || plan.type(other).dtype !== type.dtype || blockEnd(count) !== count)
    return null;
  const { flip } = plan;
  return {
    nodes: [node, add],
    other,
    output: add.output,
    sum: (layer) =>
      layer.kind !== "bytes"
        ? null
        : {
            kind: "sum",
            through: { bytes: layer, dequantizer: dequantizerOf(own, flip, true) },
            other: dequantizerOf(plan.type(other), flip, true),
            output: quantizerOf(type, flip, "roundThenAdd", { relu: add.attrs["relu"] === true }),
          },
  };
}

function sumOfReals(node: Node, plan: PlanBuilder): Sum | null {
  const add = onlyReader(node, plan);
  if (add?.target !== "add") return null;
  const real = otherSide(add, node.output, plan);
  const q = real?.node.target === "dequantize" ? real.node.args[0] : null;
  if (!(q instanceof Value) || plan.constant(q) || plan.type(q).qparams?.kind !== "perTensor") return null;
  const next = onlyReader(add, plan);
  const relu = next?.target === "relu";
  const quantize = next && relu ? onlyReader(next, plan) : next;
  const last = quantize?.target === "decomposedQuantizePerTensor" ? onlyReader(quantize, plan) : null;
  if (!quantize || !last || plan.type(q).dtype !== last.output.type?.dtype) return null;
  const quantizer = decomposedQuantizer(quantize, last, plan);
  if (typeof quantizer === "string") return null;
  return {
    nodes: relu ? [node, add, next, quantize, last] : [node, add, quantize, last],
    other: q,
    output: last.output,
    sum: () => ({
      kind: "sum",
      through: null,
      other: dequantizerOf(plan.type(q), plan.flip, false),
      output: relu ? { ...quantizer, low: Math.max(quantizer.low, quantizer.zeroPoint) } : quantizer,
    }),
  };
}

/** The sum a convolution's result goes into, if it can be computed with it. */
export function sumBehind(node: Node, plan: PlanBuilder): Sum | null {
  return node.target === "quantizedConv" ? sumOfBytes(node, plan) : sumOfReals(node, plan);
}

/** Largest distance of a weight from its zero point, when that is 0, and in any case. */
const WEIGHT_SPAN = 128;
const SHIFTED_WEIGHT_SPAN = 255;

function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

/**
 * Whether no result of the layer, nor any sum, can leave the range in which the kernels round; by a bound that needs no
 * look at the weights: that of one channel with the largest scale and the largest bias.
 */
export function isBounded(epilogue: Epilogue, weight: Tensor, zeroPoints: readonly number[]): boolean {
  const { weightScales, bias } = epilogue;
  const span = zeroPoints.every((z) => z === 0) ? WEIGHT_SPAN : SHIFTED_WEIGHT_SPAN;
  const most = Int32Array.of((span * weight.numel) / Math.max(1, weight.shape[0]!));
  const channel: Epilogue = {
    ...epilogue,
    weightScales: [largest(weightScales)],
    bias: bias.kind === "none" ? bias : { ...bias, values: [largest(bias.values)] },
  };
  return packPost(channel, { sums: most, magnitudes: most }, 0).bounded;
}
