/**
 * Floats that are a function of one byte each: what elementwise operators make of a dequantized tensor and numbers, gelu
 * or x * sigmoid(x) for instance. Quantized again they are a table of 256, whatever the function costs, with the bits
 * of the operators it replaces: the table is made by their references. So such floats are only made when something reads
 * them as floats.
 */

import type { Argument, Node } from "../../graph/graph.ts";
import { Value } from "../../graph/graph.ts";
import { quantizeReference } from "../../kernels/quantize/rules.ts";
import type { Quantizer } from "../../kernels/quantize/rules.ts";
import { dispatch, findOp } from "../../ops/op.ts";
import type { OpInput } from "../../ops/op.ts";
import { noGrad } from "../../tensor/context.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { elementOf } from "../form.ts";
import type { PlanBuilder } from "../plan.ts";
import { isPointwise } from "./pointwise.ts";

const BYTES = 256;

/** Bytes, and what is made of them. */
export interface ByteFunction {
  readonly q: Value;
  /** Whether the floats are the dequantized bytes themselves. */
  readonly isPlain: boolean;
  /** Stored results of quantizing the function of each stored byte. */
  table(quantizer: Quantizer): Uint8Array;
}

function isBytes({ dtype, qparams }: TensorType): boolean {
  return elementOf(dtype) === "byte" && qparams?.kind === "perTensor";
}

/** A stored tensor of one number, or a literal. */
function numberOf(arg: Argument, plan: PlanBuilder): number | null {
  if (typeof arg === "number") return arg;
  const stored = arg instanceof Value ? plan.constant(arg) : null;
  return stored?.dtype === "float32" && stored.numel === 1 && stored.rank === 0 ? stored.data[0]! : null;
}

/** The only bytes a value depends on, element by element; null when there is something else. */
function sourceOf(arg: Argument, plan: PlanBuilder, known: Map<Value, Value | null>): Value | null {
  if (!(arg instanceof Value) || plan.constant(arg)) return null;
  const seen = known.get(arg);
  if (seen !== undefined) return seen;
  known.set(arg, null);
  const { node } = arg;
  const found = node.target === "dequantize" ? bytesOf(node, plan) : pointwiseSource(node, plan, known);
  known.set(arg, found);
  return found;
}

function bytesOf(dequantize: Node, plan: PlanBuilder): Value | null {
  const [q] = dequantize.args;
  return q instanceof Value && !plan.constant(q) && isBytes(plan.type(q)) ? q : null;
}

function pointwiseSource(node: Node, plan: PlanBuilder, known: Map<Value, Value | null>): Value | null {
  if (!isPointwise(node)) return null;
  const sources = node.args.flatMap((arg) => (numberOf(arg, plan) === null ? [sourceOf(arg, plan, known)] : []));
  const [first] = sources;
  return first && sources.every((source) => source === first) ? first : null;
}

/** Values of the node's operators for the integers of all bytes. */
function evaluate(value: Value, q: Value, integers: Tensor, plan: PlanBuilder, known: Map<Value, Tensor>): Tensor {
  const seen = value === q ? integers : known.get(value);
  if (seen) return seen;
  const { node } = value;
  const inputs = node.args.map(
    (arg): OpInput => numberOf(arg, plan) ?? evaluate(arg as Value, q, integers, plan, known),
  );
  const [result] = noGrad(() => dispatch(findOp(node.target), inputs, node.attrs));
  known.set(value, result!);
  return result!;
}

/** The integer each stored byte stands for. */
function allIntegers({ dtype, qparams }: TensorType, flip: number): Tensor {
  const mask = (dtypeInfo[dtype].min === 0 ? 0 : 0x80) ^ flip;
  const integers = allocate(dtype, BYTES);
  for (let byte = 0; byte < BYTES; byte++) integers[byte] = byte ^ mask;
  return new Tensor(dtype, [BYTES], integers, qparams);
}

/** The function that a float value is of bytes; null when it is none. */
export function byteFunctionOf(value: Argument, plan: PlanBuilder): ByteFunction | null {
  const q = sourceOf(value, plan, new Map());
  if (!q || !(value instanceof Value)) return null;
  return {
    q,
    isPlain: value.node.target === "dequantize",
    table(quantizer) {
      const reals = evaluate(value, q, allIntegers(plan.type(q), plan.flip), plan, new Map());
      return Uint8Array.from(reals.data, (real) => quantizeReference(real, quantizer));
    },
  };
}

/** Adds the steps of a float operator now; or, if it is a function of bytes, when something reads its floats. */
export function whenRead(node: Node, plan: PlanBuilder, add: (isLate: boolean) => string | void): string | void {
  if (!byteFunctionOf(node.output, plan)) return add(false);
  plan.makeOnDemand(node.output, () => void add(true));
}
