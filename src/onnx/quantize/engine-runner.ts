/** Calibration on fewbit's own engine: observers are compiled with the model, so no tensor is copied out. */

import { compile } from "../../compile/index.ts";
import type { Engine } from "../../engine/engine.ts";
import type { CalibrationRunner } from "./options.ts";

/** @param options.engine another than the default one, with threads for example. */
export function engineRunner({ engine }: { readonly engine?: Engine } = {}): CalibrationRunner {
  return {
    name: "fewbit",
    engine,
    start({ observed }) {
      const executable = compile(observed, { fallback: "reference", ...(engine ? { engine } : {}) });
      return {
        run: (inputs) => executable.observe(...inputs),
        dispose: () => executable.dispose(),
      };
    },
  };
}
