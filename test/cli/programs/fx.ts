/** A mapping that names a module the model has not, for `fewbit doctor --fx`. */

import { getDefaultQConfig } from "../../../src/quantization/entry.ts";
import { QConfigMapping } from "../../../src/quantization/fx/index.ts";

export { exampleInputs, model } from "./broken.ts";
export const qconfigMapping = new QConfigMapping().setModuleName("cnov", getDefaultQConfig("x86"));
