/**
 * Operator name → rule that lowers it to kernel calls. Operators without a row have no kernel.
 */

import type { StepRule } from "../plan.ts";
import { convRules } from "./conv.ts";
import { linearRules } from "./linear.ts";
import { quantizedConvRules } from "./quantized-conv.ts";
import { quantizedLinearRules } from "./quantized-linear.ts";
import { shapeRules } from "./shape.ts";

export const stepRules: ReadonlyMap<string, StepRule> = new Map([
  ...convRules,
  ...linearRules,
  ...quantizedConvRules,
  ...quantizedLinearRules,
  ...shapeRules,
]);
