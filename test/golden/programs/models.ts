/** Every model of the golden programs by id, freshly built; weights come from golden/programs/models. */

import type { AnyModule } from "../../../src/nn/index.ts";
import { layerModels } from "./layers.ts";
import { operationModels } from "./operations.ts";
import { recurrentModels } from "./recurrent.ts";
import { structureModels } from "./structures.ts";

export { Branch, Gate, Scale } from "./structures.ts";

export const models: Readonly<Record<string, () => AnyModule>> = { ...layerModels, ...operationModels, ...structureModels, ...recurrentModels };
