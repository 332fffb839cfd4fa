/**
 * The graph between prepare and convert, and what conversion has to know about how it was prepared.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph } from "../../graph/graph.ts";
import type { BackendConfig } from "./backend-config.ts";
import type { PrepareCustomConfig } from "./custom-config.ts";
import { holdFrozen } from "./qat.ts";
import type { QConfigMapping } from "./qconfig-mapping.ts";

export interface PreparedState {
  readonly mapping: QConfigMapping;
  readonly backend: BackendConfig;
  readonly custom: PrepareCustomConfig;
  readonly isQat: boolean;
  /** Paths of the modules that are quantized on their own. */
  readonly standalone: readonly string[];
  /** Paths of the modules replaced by their observed form. */
  readonly observedModules: readonly string[];
}

/** A prepared model: calibrate it (or train it) by calling it, then `convertFx`. */
export class ObservedGraphModule extends GraphModule {
  /** Frozen; shared by clones. */
  readonly prepared: PreparedState;

  constructor(graph: Graph, training: boolean, prepared: PreparedState) {
    super(graph, training);
    this.prepared = Object.freeze(prepared);
  }

  override train(mode = true): this {
    super.train(mode);
    holdFrozen(this.graph);
    return this;
  }
}
