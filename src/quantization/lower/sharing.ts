/**
 * Operators between equal parameters on both sides.
 *
 *     choosing and moving   of numbers is choosing and moving of their integers, exactly; padding with 0 is padding
 *                           with z. So they are done before the dequantize, whatever is behind it
 *     nothing               q → dequantize → quantize gives q back: f32(f32((q - z) s) / s) is within 1/2 of q - z, so that
 *                           rounding finds it again
 *     relu                  rne(max((q - z) s, 0) / s) + z = max(q, z), exactly
 *     clamp                 the limits are quantized first, by quantizePerTensor's rule: one step at most, at a tie
 *     averages              float: the mean of dequantized numbers; integer: the sum of q - z, exact, times 1/n (each
 *                           kernel in its own order, see ops/quantized/pools.ts): one step at most, at a tie
 *     cat                   every part has the whole's parameters: exactly the integers, side by side
 */

import type { Node } from "../../graph/graph.ts";
import { op, value } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import type { Attrs } from "../../ops/op.ts";
import { quantizedClampOp, quantizedReluOp } from "../../ops/quantized/activations.ts";
import { quantizedCatOp } from "../../ops/quantized/joins.ts";
import { quantizedAdaptiveAvgPools, quantizedAvgPools, quantizedMeanOp } from "../../ops/quantized/pools.ts";
import { intReprOp } from "../../ops/quantize/native.ts";
import {
  DEQUANTIZE,
  asQuantized,
  dequantizeBehind,
  dequantized,
  integersOf,
  parametersOf,
  quantized,
  sameParameters,
} from "./edges.ts";

/** The integer operator of a float one, and its attributes. */
interface Twin {
  readonly operator: string | { readonly name: string };
  readonly attrs?: (attrs: Attrs) => Attrs;
}

/** Operators that take quantized tensors as they are. */
const moving: readonly string[] = [
  "reshape",
  "permute",
  "slice",
  "maxPool1d",
  "maxPool2d",
  "maxPool3d",
  "adaptiveMaxPool1d",
  "adaptiveMaxPool2d",
  "pad",
];

const twins: readonly (readonly [target: string, twin: Twin])[] = [
  ["relu", { operator: quantizedReluOp }],
  ["relu6", { operator: quantizedClampOp, attrs: () => ({ min: 0, max: 6 }) }],
  ["hardtanh", { operator: quantizedClampOp, attrs: ({ minVal, maxVal }) => ({ min: minVal, max: maxVal }) }],
  ["clamp", { operator: quantizedClampOp, attrs: ({ min, max }) => ({ min, max }) }],
  ["avgPool1d", { operator: quantizedAvgPools[1] }],
  ["avgPool2d", { operator: quantizedAvgPools[2] }],
  ["adaptiveAvgPool1d", { operator: quantizedAdaptiveAvgPools[1] }],
  ["adaptiveAvgPool2d", { operator: quantizedAdaptiveAvgPools[2] }],
  ["mean", { operator: quantizedMeanOp }],
];

function keeping(target: string, { operator, attrs = (own) => own }: Twin): Rule {
  const x = dequantized();
  const body = op(target, x).usedOnce();
  return rule(`integer-${target}`, quantized(body), (match, build) => {
    if (!sameParameters(parametersOf(match.node(x)), parametersOf(match.root))) return null;
    const result = build.call(operator, [asQuantized(build, match.node(x))], attrs(match.node(body).attrs));
    return integersOf(build, result, match.root);
  });
}

/** Whether a move brings in no numbers but 0. */
function movesOnly({ target, attrs, outputs }: Node): boolean {
  return outputs.length === 1 && (target !== "pad" || attrs["mode"] !== "constant" || attrs["value"] === 0);
}

const source = value();
const numbers = dequantized(source);
const moved = op(moving, numbers).where(movesOnly);

const moveIntegers = rule("move-integers", moved, (match, build) => {
  const dequantize = match.node(numbers);
  if (match.graph.tensorOf(match.arg(source))) return null;
  const { target, attrs } = match.root;
  const integers = build.call(intReprOp, [build.call(target, [asQuantized(build, dequantize)], attrs)]);
  return build.call(DEQUANTIZE, [integers, ...dequantize.args.slice(1)], dequantize.attrs);
});

const same = dequantized();

/** Quantizing as it was before only limits the range. */
const again = rule("quantize-again", quantized(same), (match, build) =>
  sameParameters(parametersOf(match.node(same)), parametersOf(match.root))
    ? integersOf(build, asQuantized(build, match.node(same)), match.root)
    : null,
);

const join = op("cat").usedOnce();

const cat = rule("quantizedCat", quantized(join), (match, build) => {
  const { args, attrs } = match.node(join);
  const output = parametersOf(match.root);
  const parts = args
    .map(dequantizeBehind)
    .filter((part): part is Node => part !== null && sameParameters(parametersOf(part), output));
  if (parts.length !== args.length) return null;
  const { scale, zeroPoint } = output;
  const joined = build.call(
    quantizedCatOp,
    parts.map((part) => asQuantized(build, part)),
    { dim: attrs["dim"] as number, scale, zeroPoint, relu: false },
  );
  return integersOf(build, joined, match.root);
});

export const sharingRules: readonly Rule[] = [
  ...twins.map(([target, twin]) => keeping(target, twin)),
  cat,
  moveIntegers,
  again,
];
