/**
 * The import table: what every ONNX operator becomes, by domain and name.
 */

import type { OnnxRule, OnnxRules, Unsupported } from "../call.ts";
import { activationRules } from "./activation.ts";
import { controlRules } from "./control.ts";
import { detectionRules } from "./detection.ts";
import { elementwiseRules } from "./elementwise.ts";
import { indexingRules } from "./indexing.ts";
import { microsoftRules } from "./microsoft.ts";
import { normRules } from "./norm.ts";
import { poolRules } from "./pool.ts";
import { productRules } from "./product.ts";
import { quantizeRules } from "./quantize.ts";
import { reduceRules } from "./reduce.ts";
import { resizeRules } from "./resize.ts";
import { rnnRules } from "./rnn.ts";
import { shapeRules } from "./shape.ts";
import { attentionRules } from "./attention.ts";
import { lossRules } from "./loss.ts";
import { unsupportedRules } from "./unsupported.ts";

const standard: OnnxRules = {
  ...unsupportedRules,
  ...activationRules,
  ...attentionRules,
  ...controlRules,
  ...detectionRules,
  ...elementwiseRules,
  ...indexingRules,
  ...lossRules,
  ...normRules,
  ...poolRules,
  ...productRules,
  ...quantizeRules,
  ...reduceRules,
  ...resizeRules,
  ...rnnRules,
  ...shapeRules,
};

export const allRules: ReadonlyMap<string, OnnxRules> = new Map([
  ["", standard],
  ["com.microsoft", microsoftRules],
]);

/** The standard domain has two names. */
export function domainKey(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

/** The rule for an operator, why there is none, or null for one nobody has heard of. */
export function findRule(domain: string, opType: string): OnnxRule | Unsupported | null {
  const rules = allRules.get(domain);
  return rules && Object.hasOwn(rules, opType) ? rules[opType]! : null;
}
