/**
 * Small values (one number a channel) that steps compute with in JavaScript, wherever they live: in the engine's
 * memory, as tensors on the host, or stored in the graph.
 */

import type { Argument, Node } from "../../../graph/graph.ts";
import type { Buffer } from "../../buffer.ts";
import type { Place, PlanBuilder } from "../../plan.ts";

export interface Numbers {
  /** What the step reads; empty for stored tensors. */
  readonly buffers: readonly Buffer[];
  /** The values of the run in progress. */
  bind(place: Place): () => ArrayLike<number>;
}

/** The values of an argument. */
export function numbersOf(plan: PlanBuilder, node: Node, argument: Argument): Numbers {
  if (typeof argument === "number") return { buffers: [], bind: () => () => [argument] };
  const stored = plan.constant(argument);
  if (stored) return { buffers: [], bind: () => () => stored.data };
  const buffer = plan.read(argument, node, { kind: "anywhere" });
  return { buffers: [buffer], bind: (place) => bindNumbers(place, buffer) };
}

function bindNumbers(place: Place, buffer: Buffer): () => ArrayLike<number> {
  if (buffer.element === "host") {
    const slot = place.host(buffer);
    return () => slot.tensor!.data;
  }
  const address = place.at(buffer);
  const count = buffer.bytes / Float32Array.BYTES_PER_ELEMENT;
  return () => place.engine.memory.f32(address, count);
}
