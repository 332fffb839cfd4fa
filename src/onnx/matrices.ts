/**
 * Weights of linear layers lie the other way round in ONNX's MatMul. These passes turn stored matrices, integers with
 * their scales included, so that neither files nor graphs have to turn them at every run.
 *
 *     import    matmul(x, W) → linear(x, W^T)        W stored integers, dequantized (stored floats are turned at once)
 *     export    linear(x, W, b) → add(matmul(x, W^T), b)        of more than two axes; with two it is Gemm
 */

import { Value } from "../graph/graph.ts";
import type { Argument, Graph, Node } from "../graph/graph.ts";
import { Builder, removeDead } from "../graph/rewrite.ts";
import type { Pass } from "../graph/rewrite.ts";
import { addOp } from "../ops/arithmetic.ts";
import { linearOp } from "../ops/linear.ts";
import { matmulOp } from "../ops/matmul.ts";
import { permute } from "../ops/shape.ts";
import { noGrad } from "../tensor/context.ts";
import { Tensor } from "../tensor/tensor.ts";
import { derived } from "./deferred-tensor.ts";

const DEQUANTIZE = /^(decomposedDequantizePer(Tensor|Channel)|dequantizeAffine)$/;

function flipped(tensor: Tensor): Tensor {
  const { dtype, shape } = tensor;
  const turn = (): Tensor => noGrad(() => permute(new Tensor(dtype, shape, tensor.data), [1, 0]));
  return derived(tensor, dtype, [...shape].reverse(), () => turn().data);
}

/** What a stored tensor is called. */
const nameOf = (arg: Argument): string => (arg instanceof Value ? arg.node.target : "weight");

/** The dequantize of a stored matrix behind an argument, or null. */
export function dequantizedMatrix(graph: Graph, arg: Argument): Node | null {
  if (!(arg instanceof Value) || !DEQUANTIZE.test(arg.node.target)) return null;
  return graph.tensorOf(arg.node.args[0]!)?.rank === 2 ? arg.node : null;
}

/** Parameters of blocks are matrices too; those of channels stay as they are. */
function turnedParameter(graph: Graph, build: Builder, arg: Argument): Argument {
  const stored = graph.tensorOf(arg);
  return stored?.rank === 2 ? build.constant(flipped(stored), nameOf(arg)) : arg;
}

/** The transposed matrix, dequantized the same way. */
function turned(graph: Graph, { target, args, attrs }: Node, build: Builder): Value {
  const integers = build.constant(flipped(graph.tensorOf(args[0]!)!), nameOf(args[0]!));
  const parameters = args.slice(1).map((arg) => turnedParameter(graph, build, arg));
  const { axis, blockSize } = attrs;
  return build.call(target, [integers, ...parameters], {
    ...attrs,
    ...(typeof axis === "number" ? { axis: 1 - axis } : {}),
    ...(Array.isArray(blockSize) ? { blockSize: [...(blockSize as number[])].reverse() } : {}),
  });
}

/** Turns a weight that is stored, as floats or integers; null for one that is computed. */
function turnedWeight(graph: Graph, arg: Argument, build: Builder): Value | null {
  const stored = graph.tensorOf(arg);
  if (stored?.rank === 2) return build.constant(flipped(stored), nameOf(arg));
  const dequantize = dequantizedMatrix(graph, arg);
  return dequantize && turned(graph, dequantize, build);
}

const isTranspose = ({ target, attrs }: Node): boolean =>
  target === "permute" && (attrs["dims"] as readonly number[]).join() === "1,0";

/** For imported graphs: products with stored integers become linear layers, and transposes of them are done once. */
export const linearLayers: Pass = {
  name: "linear-layers",
  run(graph) {
    for (const node of [...graph.nodes]) {
      const build = new Builder(graph, node);
      const [x, w] = node.args;
      if (isTranspose(node)) {
        const dequantize = dequantizedMatrix(graph, x!);
        if (dequantize) graph.replaceUses(node.output, turned(graph, dequantize, build));
      }
      if (node.target !== "matmul" || !(x instanceof Value) || (x.type?.shape.length ?? 0) < 2) continue;
      const dequantize = dequantizedMatrix(graph, w!);
      if (!dequantize || graph.tensorOf(x)) continue;
      graph.replaceUses(node.output, build.call(linearOp, [x, turned(graph, dequantize, build), null]));
    }
    removeDead(graph);
  },
};

/** For files: linear layers over more than two axes become products with the turned weight. */
export const matrixProducts: Pass = {
  name: "matrix-products",
  run(graph) {
    for (const node of [...graph.nodes]) {
      if (node.target !== "linear" || node.outputs[0]!.type?.shape.length === 2) continue;
      const [x, w, bias] = node.args;
      const build = new Builder(graph, node);
      const weight = turnedWeight(graph, w!, build);
      if (!weight) continue;
      const product = build.call(matmulOp, [x!, weight]);
      graph.replaceUses(node.output, bias instanceof Value ? build.call(addOp, [product, bias]) : product);
    }
    removeDead(graph);
  },
};
