/**
 * Dynamic quantization as runtimes for ONNX know it: the range, the integers and their parameters from one
 * DynamicQuantizeLinear; and a linear layer that reads them as a product of integers.
 *
 *     q, s, z = DynamicQuantizeLinear(x)       y = f32(MatMulInteger(q, Wq, z)) * (s * sw_c) + b
 */

import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { Builder, removeDead } from "../../graph/rewrite.ts";
import type { Pass } from "../../graph/rewrite.ts";
import { addOp, mulOp } from "../../ops/arithmetic.ts";
import { permute } from "../../ops/shape.ts";
import { castOp } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import type { ValueType } from "../../graph/graph.ts";
import { nodeTarget } from "../deferred.ts";

const CHOOSE = "decomposedChooseQParams";
const OPSET = 11;

function foreign(graph: Graph, before: Node, opType: string, args: readonly Argument[], types: readonly ValueType[]) {
  const attrs = { domain: "", opType, opset: OPSET, attributes: {}, outputs: types.map(() => true), captures: [] };
  const { source } = before;
  return graph.insert({ kind: "operator", target: nodeTarget("", opType), args, attrs, types, source }, before).outputs;
}

/** Parameters chosen as DynamicQuantizeLinear chooses them: uint8, all 256 levels, zero included. */
function isStandard({ target, attrs }: Node): boolean {
  const { dtype, quantMin, quantMax, symmetric } = attrs;
  return target === CHOOSE && dtype === "uint8" && quantMin === 0 && quantMax === 255 && symmetric === false;
}

/** Replaces the choice and the quantize behind it; the dequantize then reads the new parameters. */
function fuseChoice(graph: Graph, choose: Node): void {
  const [scale, zeroPoint] = choose.outputs;
  const x = choose.args[0] as Value;
  const quantize = scale!.users.find(({ target, args }) => target === "decomposedQuantizePerTensor" && args[0] === x);
  if (!quantize) return;
  const [q, s, z] = foreign(
    graph,
    choose,
    "DynamicQuantizeLinear",
    [x],
    [
      { dtype: "uint8", shape: x.type!.shape },
      { dtype: "float32", shape: [] },
      { dtype: "uint8", shape: [] },
    ],
  );
  graph.replaceUses(quantize.output, q!);
  graph.remove(quantize);
  graph.replaceUses(scale!, s!);
  graph.replaceUses(zeroPoint!, z!);
}

interface Dynamic {
  readonly q: Value;
  readonly scale: Value;
  readonly zeroPoint: Value;
}

function dynamicInput(arg: Argument): Dynamic | null {
  if (!(arg instanceof Value) || arg.node.target !== "decomposedDequantizePerTensor") return null;
  const [q, scale, zeroPoint] = arg.node.args;
  const dynamic = q instanceof Value && q.node.target === nodeTarget("", "DynamicQuantizeLinear");
  return dynamic && scale instanceof Value && zeroPoint instanceof Value ? { q, scale, zeroPoint } : null;
}

/** A stored symmetric int8 weight [out, in], and its scales: a number, or a stored tensor. */
function storedWeight(graph: Graph, arg: Argument): { integers: Value; scale: Argument } | null {
  if (!(arg instanceof Value) || !/^decomposedDequantizePer(Tensor|Channel)$/.test(arg.node.target)) return null;
  const [integers, scale, zeroPoint] = arg.node.args;
  const zeros = zeroPoint instanceof Value ? graph.tensorOf(zeroPoint)?.data : [zeroPoint ?? 0];
  const stored = integers instanceof Value ? graph.tensorOf(integers) : null;
  const axis = (arg.node.attrs["axis"] ?? 0) === 0;
  if (stored?.dtype !== "int8" || !axis || !zeros || !Array.from(zeros).every((z) => z === 0)) return null;
  return { integers: integers as Value, scale: scale ?? null };
}

function multiplyIntegers(graph: Graph, node: Node): void {
  const [x, w, bias] = node.args;
  const input = dynamicInput(x ?? null);
  const weight = input && storedWeight(graph, w ?? null); // looks at values, which may be expensive to make
  if (!weight) return;
  const build = new Builder(graph, node);
  const turned = noGrad(() => permute(graph.tensorOf(weight.integers)!, [1, 0]));
  const integers = build.constant(turned, "quantized_weight");
  const { shape } = node.output.type!;
  const [sums] = foreign(
    graph,
    node,
    "MatMulInteger",
    [input.q, integers, input.zeroPoint],
    [{ dtype: "int32", shape }],
  );
  const scale = build.call(mulOp, [input.scale, weight.scale]);
  const product = build.call(mulOp, [build.call(castOp, [sums!], { dtype: "float32" }), scale]);
  graph.replaceUses(node.output, bias instanceof Value ? build.call(addOp, [product, bias]) : product);
}

export const dynamicQuantization: Pass = {
  name: "dynamic-quantization",
  run(graph) {
    for (const node of [...graph.nodes]) if (isStandard(node)) fuseChoice(graph, node);
    for (const node of [...graph.nodes]) if (node.target === "linear") multiplyIntegers(graph, node);
    removeDead(graph);
  },
};
