/** All rules, in the order in which findings are listed. */

import { callRules } from "./calls.ts";
import { fusionRules } from "./fusion.ts";
import { limitRules } from "./limits.ts";
import { modeRules } from "./modes.ts";
import { qconfigRules } from "./qconfigs.ts";
import { stubRules } from "./stubs.ts";

export const rules = [...qconfigRules, ...modeRules, ...stubRules, ...callRules, ...fusionRules, ...limitRules];
