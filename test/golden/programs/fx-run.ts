/**
 * Converted programs as steps with values: which operators run in order, and what integers each gives for the test
 * input. A fused operator of one side is several steps of the other, so steps are compared by what they are made of.
 */

import type { Graph, Node } from "../../../src/graph/graph.ts";
import { interpret } from "../../../src/graph/index.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { NodeValue, Program, ProgramNode } from "./load.ts";
import { operatorsOf } from "./vocabulary.ts";

export interface StepValue {
  readonly dtype: string;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly sum: number;
}

export interface Step {
  readonly tokens: readonly string[];
  /** Of steps that give integers. */
  readonly value: StepValue | null;
}

const whole: Readonly<Record<string, string>> = {
  lstm: "LSTM",
  gru: "GRU",
  lstmCell: "LSTMCell",
  gruCell: "GRUCell",
  rnnCell: "RNNCell",
  gate: "Gate",
  graphModule: "GraphModule",
};

function goldenTokens(node: ProgramNode): readonly string[] {
  if (node.op === "quantize_per_tensor_dynamic") return ["quantizeDynamic"];
  if (node.op.startsWith("quantize_per")) return ["quantize"];
  if (node.op === "dequantize") return ["dequantize"];
  const op = node.op.replace(/^quantized(_dynamic)?\./, "");
  if (op === "quantized_scale") return ["QuantizedScale"];
  return operatorsOf({ ...node, op }).map((name) => whole[name] ?? name);
}

function goldenValue(out: NodeValue | undefined): StepValue | null {
  if (!out || out.scale === undefined || out.zeroPoint === undefined || out.sum === undefined) return null;
  return { dtype: out.dtype, scale: out.scale, zeroPoint: out.zeroPoint, sum: out.sum };
}

export function goldenSteps(program: Program): Step[] {
  const steps = program.nodes.map((node) => {
    const isDynamic = node.op === "quantize_per_tensor_dynamic";
    return { tokens: goldenTokens(node), value: isDynamic || node.op === "input" ? null : goldenValue(node.out) };
  });
  return steps.filter(({ tokens }) => tokens.length > 0);
}

const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

/** quantizedConv with relu over two axes → conv2d, relu. */
function operatorTokens({ target, attrs }: Node): readonly string[] {
  if (target === "quantizeDequantizeDynamic") return ["quantizeDynamic", "dequantize"];
  if (/^quantizePer/.test(target)) return ["quantize"];
  const relu = attrs["relu"] === true ? ["relu"] : [];
  if (target === "linearDynamic") return ["linear", ...relu];
  if (!target.startsWith("quantized")) return [target];
  const rank = (attrs["stride"] as readonly number[] | undefined)?.length;
  const plain = lowerFirst(target.slice("quantized".length)).replace(/Scalar$/, "");
  const sized = plain === "conv" || plain === "convTranspose" ? `${plain}${rank}d` : plain;
  if (plain === "convAdd") return ["conv2d", "add", ...relu];
  return [sized, ...relu];
}

/** Weights are stored behind a dequantize or a cast, which PyTorch's reference layers do inside. */
function isStorage(node: Node): boolean {
  return ["dequantize", "cast"].includes(node.target) && node.inputs[0]?.node.kind === "attribute";
}

function ownValue(output: Tensor | undefined): StepValue | null {
  if (output?.qparams?.kind !== "perTensor") return null;
  const { scale, zeroPoint } = output.qparams;
  let sum = 0;
  for (let i = 0; i < output.numel; i++) sum += output.data[i]!;
  return { dtype: output.dtype, scale, zeroPoint, sum };
}

export interface OwnRun {
  readonly steps: readonly Step[];
  readonly outputs: readonly Tensor[];
  /** Integers that a returned dequantize reads, or that are returned themselves. */
  readonly integers: readonly Tensor[];
}

/** Runs a converted graph on the interpreter, noting every step. */
export function runSteps(graph: Graph, inputs: readonly Tensor[], inReadingOrder: (graph: Graph) => readonly Node[]): OwnRun {
  const values = new Map<Node, readonly Tensor[]>();
  const outputs = interpret(graph, inputs, { onNode: (node, given) => void values.set(node, given) });
  const steps = inReadingOrder(graph).flatMap((node): Step[] => {
    if (node.kind === "module") return [{ tokens: [graph.modules.get(node.target)!.constructor.name], value: ownValue(values.get(node)?.[0]) }];
    if (node.kind !== "operator" || isStorage(node)) return [];
    return [{ tokens: operatorTokens(node), value: ownValue(values.get(node)?.[0]) }];
  });
  const integers = graph.outputs.flatMap((output) => {
    if (output === null || typeof output === "number") return [];
    const from = output.node.target === "dequantize" ? output.node.inputs[0]! : output;
    const tensor = values.get(from.node)?.[from.index];
    return tensor?.isQuantized ? [tensor] : [];
  });
  return { steps, outputs, integers };
}

/** One integer operator serves several float ones. */
const merged: Readonly<Record<string, string>> = { relu6: "clamp", hardtanh: "clamp", instanceNorm: "groupNorm" };

export const tokensOf = (steps: readonly Step[]): string[] => steps.flatMap(({ tokens }) => tokens.map((token) => merged[token] ?? token));

/** The value after each token that ends a step, by the token's position. */
export function valuesByPosition(steps: readonly Step[]): Map<number, StepValue> {
  const values = new Map<number, StepValue>();
  let position = 0;
  for (const { tokens, value } of steps) {
    position += tokens.length;
    if (value) values.set(position, value);
  }
  return values;
}

/** Integers and parameters of a stored weight, as text. */
function weightLine(weight: Tensor): string {
  const { qparams } = weight;
  const [scales, zeroPoints] = qparams?.kind === "perTensor" ? [[qparams.scale], [qparams.zeroPoint]] : [qparams?.scales ?? [], qparams?.zeroPoints ?? []];
  return [weight.dtype, scales.map((v) => Math.fround(v)).join(" "), zeroPoints.join(" "), Array.from(weight.data).join(" ")].join(" | ");
}

const isTensor = (value: unknown): value is Tensor => typeof value === "object" && value !== null && "qparams" in value;

/** The quantized weights of a lowered program, in the order they are used; those inside recurrent modules aside. */
export function goldenWeights(program: Program): string[] {
  const packed = (program.constants ?? {}) as Readonly<Record<string, { readonly weight?: unknown }>>;
  return program.nodes.flatMap((node) => {
    const own = node.weight?.["weight"];
    if (node.op.includes("prelu")) return [];
    const stored = [own, ...node.inputs.map((name) => packed[name]?.weight)];
    return stored.flatMap((weight) => (isTensor(weight) && weight.isQuantized ? [weightLine(weight)] : []));
  });
}

const TABLES = ["quantizedEmbedding", "quantizedEmbeddingBag"];
const PRODUCTS = ["quantizedConv", "quantizedConvAdd", "quantizedConvTranspose", "quantizedLinear", "linearDynamic"];

export function ownWeights(graph: Graph, inReadingOrder: (graph: Graph) => readonly Node[]): string[] {
  return inReadingOrder(graph).flatMap((node) => {
    const index = TABLES.includes(node.target) ? 0 : PRODUCTS.includes(node.target) ? 1 : null;
    const weight = index === null ? null : graph.tensorOf(node.args[index]!);
    return weight ? [weightLine(weight)] : [];
  });
}
