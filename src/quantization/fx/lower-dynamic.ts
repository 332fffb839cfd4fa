/**
 * Lowering of linear layers whose input is quantized by its own range when they run. Only the weight is stored as
 * integers (or 16-bit floats); the result is float. Convolutions have no such operator in PyTorch and stay as they are.
 */

import { constant, op, optionalConstant, value } from "../../graph/match.ts";
import type { OpPattern } from "../../graph/match.ts";
import { rule } from "../../graph/rewrite.ts";
import type { Rule } from "../../graph/rewrite.ts";
import { linearDynamicOp } from "../../ops/quantized/dynamic.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { dequantizedWeight, inner, isQuantizedUnit, placedAs } from "./lower-parts.ts";

function pair(dtype: "quint8" | "float16", x: ReturnType<typeof value>): OpPattern {
  return op("quantizeDequantizeDynamic", x).where((node) => node.attrs["dtype"] === dtype);
}

function int8Rule(engine: QEngine, relu: boolean): Rule {
  const [x, w, b] = [value(), dequantizedWeight(), optionalConstant()];
  const args = [pair("quint8", x), w.pattern, b];
  const call = relu ? inner("linear", ...args) : op("linear", ...args).where(isQuantizedUnit);
  return rule(
    relu ? "lower-linear-dynamic-relu" : "lower-linear-dynamic",
    relu ? op("relu", call).where(isQuantizedUnit) : call,
    (match, build) =>
      placedAs(
        build.call(linearDynamicOp, [match.arg(x), match.arg(w.integers), match.arg(b)], {
          relu,
          reduceRange: true,
          engine,
        }),
        match.node(call),
      ),
  );
}

/** The input stays as it is, in 32 bits. */
function float16Rule(): Rule {
  const [x, stored, b] = [value(), constant(), optionalConstant()];
  const w = op("cast", stored);
  const call = op("linear", pair("float16", x), w, b).where(isQuantizedUnit);
  return rule("lower-linear-float16", call, (match, build) =>
    placedAs(build.call("linear", [match.arg(x), match.arg(w), match.arg(b)]), match.root),
  );
}

export function dynamicRules(engine: QEngine): readonly Rule[] {
  return [int8Rule(engine, true), int8Rule(engine, false), float16Rule()];
}
