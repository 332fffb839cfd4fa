/**
 * Lowering of operators that choose, move or limit values: they run on the integers as they are, and the pair around
 * them falls away. Their output keeps their input's parameters, whatever the quantize behind them says; so does a
 * concatenation with its first operand's. As in PyTorch this does not ask for settings: what stands between integers runs
 * on integers.
 */

import { Value } from "../../graph/graph.ts";
import type { Node } from "../../graph/graph.ts";
import { op } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { placedAs } from "./lower-parts.ts";
import { replay, standIn } from "./replay.ts";
import { dispatch, findOp } from "../../ops/op.ts";

const COPIES = new Set([
  "relu", "relu6", "hardtanh", "clamp", "avgPool1d", "avgPool2d", "avgPool3d", "adaptiveAvgPool1d",
  "adaptiveAvgPool2d", "adaptiveAvgPool3d", "maxPool1d", "maxPool2d", "maxPool3d", "interpolate", "mean", "reshape",
  "permute", "slice", "expand", "dropout", "cat",
]); // prettier-ignore

const isCopy = (node: Node): boolean =>
  node.kind === "operator" && COPIES.has(node.target) && node.outputs.length === 1;

/** The integers a value is the dequantized form of, or null. */
function integersOf(value: Value): Value | null {
  return value.node.target === "dequantize" ? value.node.inputs[0]! : null;
}

/** Copies between a value and the dequantize nodes it comes from, first to last; null when something else is in between. */
function copiesBehind(value: Value, isLast: boolean): Node[] | null {
  const { node } = value;
  if (integersOf(value)) return [];
  if (!isCopy(node) || (!isLast && value.users.length !== 1)) return null;
  const chains = node.inputs.map((input) => copiesBehind(input, false));
  if (chains.length === 0 || chains.some((chain) => chain === null)) return null;
  return [...chains.flatMap((chain) => chain!), node];
}

const last = op("quantizePerTensor");

/** quantize(copy(...copy(dequantize(x)))) → copy(...copy(x)), also with several operands. */
const copyRule = rule("lower-copies", last, ({ graph, root }, build) => {
  const [value] = root.inputs;
  const copies = value && graph.useCount(value) === 1 ? copiesBehind(value, true) : null;
  if (!copies || copies.length === 0) return null;
  const results = new Map<Value, Value>();
  const integers = (arg: Value): Tensor => standIn(results.get(arg) ?? integersOf(arg)!);
  for (const node of copies) {
    const inputs = node.args.map((arg) => (arg instanceof Value ? integers(arg) : arg));
    results.set(
      node.output,
      placedAs(
        replay(graph, build, () => dispatch(findOp(node.target), inputs, node.attrs)[0]!),
        node,
      ),
    );
  }
  return results.get(value!)!;
});

export const copyRules: readonly Rule[] = [copyRule];
