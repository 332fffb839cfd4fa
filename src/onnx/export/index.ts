/**
 * The whole export table, total over operator names: a rule, or why there is none.
 */

import { unsupported } from "../call.ts";
import type { Unsupported } from "../call.ts";
import type { ExportRule, ExportRules } from "./call.ts";
import { quantizeExports } from "./quantize.ts";
import { floatExports } from "./rules.ts";

const gradient = unsupported("belongs to a backward pass, which files for inference do not have");
const integer = unsupported(
  "works on tensors that carry their quantization: export the graph in QDQ form, which convertToReferenceFx and convertPt2e give",
);
const observing = unsupported("observes or trains quantization: convert the model first");
const missing = unsupported("ONNX has no operator for it, and it has not been spelled out in others");

const reasons: readonly (readonly [RegExp, Unsupported])[] = [
  [/Grad$|Gradient$|Backward$|^gate$|Scatter$/, gradient],
  [/fakeQuantize|^observe|^calculateQParams$|^fusedMoving|histogram|^choose/i, observing],
  [/quantize|^intRepr$|Dynamic$|^float8|Int8|weightOnly/i, integer],
];

/** Every operator that has a rule. */
export const exportRules: ExportRules = { ...floatExports, ...quantizeExports };

/** The rule for an operator, or why it has none. */
export function exportRuleFor(name: string): ExportRule | Unsupported {
  if (Object.hasOwn(exportRules, name)) return exportRules[name]!;
  return reasons.find(([pattern]) => pattern.test(name))?.[1] ?? missing;
}
