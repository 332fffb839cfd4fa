/** Networks with one real-world mistake each, by family. */

import { callCases } from "./calls.ts";
import { fusionCases } from "./fusion.ts";
import { graphCases } from "./graphs.ts";
import { qconfigCases } from "./qconfigs.ts";
import { stubCases } from "./stubs.ts";

export const cases = [...stubCases, ...callCases, ...fusionCases, ...qconfigCases, ...graphCases];
