/**
 * Observers inside a compiled graph: their statistics are taken from the engine's memory by kernels, so calibration
 * runs at engine speed and copies no tensors out. The observer's own update rule stays where it is.
 */

import type { Node } from "../../graph/graph.ts";
import { ObserverBase } from "../../quantization/observers/base.ts";
import type { BatchStatistics } from "../../quantization/observers/base.ts";
import type { Buffer, Place, PlanBuilder } from "../plan.ts";
import { load } from "../transfer.ts";
import { linesOf } from "./elementwise.ts";

const FLOAT = 4;

/** Kernel-made statistics of a buffer, taken when asked. */
function statisticsOf(place: Place, buffer: Buffer, maxBins: number): () => BatchStatistics {
  const { engine, at, constant } = place;
  const { count, length, tables: [table] } = linesOf(place, [buffer]); // prettier-ignore
  const range = constant(2 * FLOAT);
  const bins = constant(2 * maxBins * FLOAT);
  const source = at(buffer);
  return () => {
    engine.kernels.f32_min_max(0, count, table!, source, length, range);
    const [min, max] = engine.memory.f32(range, 2);
    return {
      range: { min: min!, max: max! },
      counts(number, low, high) {
        engine.kernels.fill_bytes(bins, 0, 2 * number * FLOAT);
        engine.kernels.f32_histogram(0, count, table!, source, length, low, high, number, bins);
        // Two tables that take turns; counts stay below 2^24, so float32 holds the sums.
        const halves = engine.memory.i32(bins, 2 * number);
        return Float32Array.from({ length: number }, (_, i) => halves[i]! + halves[number + i]!);
      },
    };
  };
}

/** Weights are observed as they are; readers take the stored tensor itself. */
function addStoredStep(node: Node, plan: PlanBuilder, observe: () => void): void {
  plan.step({
    node,
    kernel: "observe weight",
    precision: "float",
    why: "",
    operations: 0,
    reads: [],
    writes: [],
    bind: () => observe,
  });
}

/** Adds the step of an observer node; a string says why it must see the tensor itself. */
export function emitObserver(node: Node, plan: PlanBuilder): string | void {
  const module = plan.graph.modules.get(node.target);
  if (!(module instanceof ObserverBase)) return "the engine has no kernel for this module";
  const stored = plan.constant(node.args[0]!);
  if (stored) {
    addStoredStep(node, plan, () => module.observe(stored));
    return;
  }
  if (plan.type(node.args[0]!).dtype !== "float32") return "only float32 tensors can be observed by a kernel";
  const input = plan.read(node.args[0]!, node, { kind: "any" });
  const maxBins = "bins" in module ? (module.bins as number) : 0;
  plan.same(node.output, input);
  plan.step({
    node,
    kernel: `observe (${module.constructor.name})`,
    precision: "float",
    why: "",
    operations: 0,
    reads: [input],
    writes: [],
    bind(place) {
      const statistics = statisticsOf(place, input, maxBins);
      const address = place.at(input);
      return () => {
        if (!module.observeStatistics(statistics())) module.observe(load(place.engine, input, address, plan.flip));
      };
    },
  });
}
