/**
 * Linear layers with weights in blocks as onnxruntime's MatMulNBits, which multiplies 4- and 8-bit weights without
 * spreading them out in memory.
 *
 * B [N, K / block, block * bits / 8]: rows of bytes, of 4-bit integers the low half first; scales [N * K / block]; zero
 * points packed alike, a row of blocks an output. Integers are unsigned: ours, plus half of their range.
 */

import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { Builder, removeDead } from "../../graph/rewrite.ts";
import type { Pass } from "../../graph/rewrite.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { TypedArray } from "../../tensor/dtype.ts";
import { nodeTarget } from "../deferred.ts";
import { derived } from "../deferred-tensor.ts";
import { dequantizedMatrix } from "../matrices.ts";

const DOMAIN = "com.microsoft";
const SMALLEST_BLOCK = 16;

/** Rows of unsigned integers as bytes, each row starting on a byte. */
function packRows(data: TypedArray, rows: number, bits: 4 | 8, offset: number): Uint8Array {
  const width = data.length / rows;
  if (bits === 8) return Uint8Array.from(data as Int8Array, (v) => v + offset);
  const stride = Math.ceil(width / 2);
  const out = new Uint8Array(rows * stride);
  for (let i = 0; i < data.length; i++) {
    const column = i % width;
    out[Math.floor(i / width) * stride + (column >> 1)]! |= (data[i]! + offset) << ((column & 1) * 4);
  }
  return out;
}

interface Blocks {
  readonly integers: Tensor;
  readonly scales: Tensor;
  readonly zeroPoints: Tensor | null;
  readonly block: number;
  readonly bits: 4 | 8;
}

/** The weight as blocks along its rows, when MatMulNBits has that form. */
function blocksOf(graph: Graph, weight: Argument): Blocks | null {
  const node = dequantizedMatrix(graph, weight);
  if (node?.target !== "dequantizeAffine") return null;
  const [q, s, z] = node.args;
  const { blockSize, quantMin, quantMax, zeroPointDomain } = node.attrs;
  const [rows, block] = blockSize as readonly number[];
  const integers = graph.tensorOf(q!)!;
  const scales = graph.tensorOf(s!);
  const zeroPoints = graph.tensorOf(z ?? null);
  const isPower = block! >= SMALLEST_BLOCK && (block! & (block! - 1)) === 0;
  if (rows !== 1 || !isPower || integers.dtype !== "int8" || scales?.dtype !== "float32") return null;
  if (zeroPointDomain !== "INT" || (z instanceof Value && !zeroPoints)) return null;
  const bits = (quantMin as number) >= -8 && (quantMax as number) <= 7 ? 4 : 8;
  return { integers, scales, zeroPoints, block: block!, bits };
}

function pack(graph: Graph, node: Node, { integers, scales, zeroPoints, block, bits }: Blocks): void {
  const [n, k] = integers.shape as [number, number];
  const build = new Builder(graph, node);
  const offset = 2 ** (bits - 1);
  const blocks = k / block;
  const bytes = (tensor: Tensor, shape: readonly number[]): Value =>
    build.constant(
      derived(tensor, "uint8", shape, () => packRows(tensor.data, n, bits, offset)),
      "packed_weight",
    );
  const zeroWidth = Math.ceil((blocks * bits) / 8);
  const bias = node.args[2] ?? null;
  const args: Argument[] = [
    node.args[0]!,
    bytes(integers, [n, blocks, (block * bits) / 8]),
    build.constant(
      derived(scales, "float32", [n * blocks], () => scales.data),
      "scales",
    ),
    zeroPoints && bytes(zeroPoints, [n * zeroWidth]),
    ...(bias === null ? [] : [null, bias]),
  ];
  const attributes = { K: { int: k }, N: { int: n }, bits: { int: bits }, block_size: { int: block } };
  const attrs = { domain: DOMAIN, opType: "MatMulNBits", opset: 1, attributes, outputs: [true], captures: [] };
  const types = [node.output.type];
  const spec = { kind: "operator", target: nodeTarget(DOMAIN, "MatMulNBits"), args, attrs, types } as const;
  graph.replaceUses(node.output, graph.insert({ ...spec, source: node.source }, node).output);
}

export const packedWeights: Pass = {
  name: "packed-weights",
  run(graph) {
    for (const node of [...graph.nodes]) {
      if (node.target !== "linear") continue;
      const blocks = blocksOf(graph, node.args[1] ?? null);
      if (blocks) pack(graph, node, blocks);
    }
    removeDead(graph);
  },
};
