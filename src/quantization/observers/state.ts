/**
 * The observers' part of a model's state dict: calibration results, saved apart from weights.
 * Source: get_observer_state_dict and load_observer_state_dict, torch/ao/quantization/observer.py.
 */

import { ModuleError } from "../../errors.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { StateDict } from "../../nn/state-dict.ts";

const MARK = "activation_post_process";

/** Entries of the model's state whose key names an observer. */
export function getObserverStateDict(model: AnyModule): StateDict {
  return new Map([...model.stateDict()].filter(([key]) => key.includes(MARK)));
}

/**
 * Loads what getObserverStateDict gave, and nothing else.
 * @throws ModuleError naming observer keys that are missing or unexpected.
 */
export function loadObserverStateDict(model: AnyModule, state: StateDict): void {
  const observed = new Map([...state].filter(([key]) => key.includes(MARK)));
  const own = new Set(getObserverStateDict(model).keys());
  const missing = [...own].filter((key) => !observed.has(key));
  const unexpected = [...observed.keys()].filter((key) => !own.has(key));
  if (missing.length + unexpected.length > 0) {
    throw new ModuleError(
      "loadObserverStateDict",
      { missing, unexpected },
      "the keys must be exactly those of the model's observers",
    );
  }
  model.loadStateDict(observed, { strict: false });
}
