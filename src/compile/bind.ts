/**
 * Places a plan in memory: every buffer gets its address, borders are filled, and the steps are bound.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { planArena } from "./arena.ts";
import { fillBorder } from "./border.ts";
import type { Buffer } from "./buffer.ts";
import { elementBytes } from "./form.ts";
import type { Place, PlanBuilder, StepSpec } from "./plan.ts";
import { store } from "./transfer.ts";

/** A plan placed in memory: run the steps in order. */
export interface BoundPlan {
  readonly steps: readonly { readonly spec: StepSpec; readonly run: () => void }[];
  readonly arenaBytes: number;
  readonly constantBytes: number;
  readonly place: Place;
  dispose(): void;
}

/** Gives every buffer its address, fills borders, binds the steps. @throws EngineError when memory cannot be had. */
export function bindPlan(plan: PlanBuilder): BoundPlan {
  const { engine } = plan;
  const buffers = new Set(plan.steps.flatMap((step) => [...step.reads, ...step.writes]).map((buffer) => buffer.root));
  const arena = planArena([...buffers].filter(({ element, home }) => element !== "host" && !home));
  const owned: number[] = [];
  const own = (bytes: number): number => {
    const at = engine.memory.alloc(bytes);
    owned.push(at);
    return at;
  };
  const dispose = (): void => owned.splice(0).forEach((at) => engine.memory.free(at));
  try {
    const base = own(arena.bytes);
    const hosts = new Map<Buffer, { tensor: Tensor | null }>();
    const addresses = new Map<Buffer, number>();
    let constantBytes = 0;
    const place: Place = {
      engine,
      at: ({ root }) => addresses.get(root) ?? base + arena.offsets.get(root)!,
      constant: (bytes) => ((constantBytes += bytes), own(bytes)),
      host: (buffer) => hosts.get(buffer.root) ?? hosts.set(buffer.root, { tensor: null }).get(buffer.root)!,
    };
    engine.memory.u8(base, arena.bytes).fill(0);
    for (const buffer of buffers) {
      const { home } = buffer;
      if (home?.kind === "memory") addresses.set(buffer, home.address);
      else if (home?.kind === "host" || (home && buffer.element === "host")) place.host(buffer).tensor = home.tensor;
      else if (home) {
        addresses.set(buffer, place.constant(buffer.bytes));
        store(engine, buffer, addresses.get(buffer)!, home.tensor, plan.flip);
      }
    }
    for (const buffer of buffers)
      if (buffer.form.kind === "image" && buffer.element !== "host")
        fillBorder(engine, buffer.image, place.at(buffer), elementBytes(buffer.element), buffer.borderValue);
    const steps = plan.steps.map((spec) => ({ spec, run: spec.bind(place) }));
    return { steps, arenaBytes: arena.bytes, constantBytes, place, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
