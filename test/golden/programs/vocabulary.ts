/**
 * Operators of the golden programs in fewbit's words. PyTorch's modules, fused modules and functions become the
 * operators a captured graph holds: conv2d_relu is conv2d then relu, flatten is reshape, transpose is permute.
 */

import type { Program, ProgramNode } from "./load.ts";

/** What one node computes, where that is not its own name in camelCase without the rank of a norm. */
const spellings: Readonly<Record<string, readonly string[]>> = {
  flatten: ["reshape"],
  squeeze: ["reshape"],
  unsqueeze: ["reshape"],
  view: ["reshape"],
  transpose: ["permute"],
  upsample_nearest2d: ["interpolate"],
  add_: ["add"],
  relu_: ["relu"],
  pixel_shuffle: ["reshape", "permute", "reshape"],
};

/** Nodes that are bookkeeping of PyTorch's graphs, not operators of the model. */
const bookkeeping = new Set(["input", "output", "constant", "observer", "size", "getitem", "to"]);
const quantization = /^(de)?quantize|^choose_qparams/;

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The parts of a fused name in order: qat.conv2d_bn_relu -> conv2d, batch_norm, relu; conv2d_add -> conv2d, add. */
function unfused(op: string): string[] {
  const name = op.replace(/^(quantized|quantized_dynamic|qat)\./, "").replace(/_dynamic$/, "");
  const relu = name !== "relu" && name !== "leaky_relu" && name.endsWith("_relu");
  const rest = relu ? name.slice(0, -"_relu".length) : name;
  const joined = /^(.+)_(bn|bn1d|add)$/.exec(rest);
  const parts = joined ? [joined[1]!, joined[2] === "add" ? "add" : "batch_norm"] : [rest];
  return relu ? [...parts, "relu"] : parts;
}

function spelled(name: string, { args }: ProgramNode): readonly string[] {
  if (name === "hardtanh" && args?.["min_val"] === 0 && args["max_val"] === 6) return ["relu6"];
  if (name === "stack") {
    const { tensors } = args as { readonly tensors: readonly unknown[] };
    return [...tensors.map(() => "reshape"), "cat"];
  }
  return spellings[name] ?? [camel(name.replace(/(batch|instance)_norm\dd$/, "$1_norm"))];
}

/** The float operators a node stands for, in order; none for observers, quantize, dequantize and bookkeeping. */
export function operatorsOf(node: ProgramNode): string[] {
  if (bookkeeping.has(node.op) || quantization.test(node.op)) return [];
  return unfused(node.op).flatMap((name) => spelled(name, node));
}

/** The float operators of a program, in order. */
export function operators(program: Program): string[] {
  return program.nodes.flatMap(operatorsOf);
}
