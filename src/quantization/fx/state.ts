/**
 * The graph between prepare and convert, and what conversion has to know about how it was prepared.
 */

import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph } from "../../graph/graph.ts";
import type { BackendConfig } from "./backend-config.ts";
import type { PrepareCustomConfig } from "./custom-config.ts";
import { holdFrozen } from "./qat.ts";
import type { QConfigMapping } from "./qconfig-mapping.ts";
import type { UnsupportedSetting } from "./unsupported.ts";

export interface PreparedState {
  readonly mapping: QConfigMapping;
  readonly backend: BackendConfig;
  readonly custom: PrepareCustomConfig;
  readonly isQat: boolean;
  /** Paths of the modules that are quantized on their own. */
  readonly standalone: readonly string[];
  /** Paths of the modules replaced by their observed form. */
  readonly observedModules: readonly string[];
  /** Settings that had no effect. */
  readonly unsupported: readonly UnsupportedSetting[];
}

/** A prepared model: calibrate it (or train it) by calling it, then `convertFx`. */
export class ObservedGraphModule extends GraphModule {
  /** Frozen; shared by clones. */
  readonly prepared: PreparedState;

  constructor(graph: Graph, training: boolean, prepared: PreparedState) {
    super(graph, training);
    this.prepared = Object.freeze(prepared);
  }

  /** Layers and operators that stay float although their qconfig asks for integers, and why. */
  get unsupported(): readonly UnsupportedSetting[] {
    return this.prepared.unsupported;
  }

  override train(mode = true): this {
    super.train(mode);
    holdFrozen(this.graph);
    return this;
  }
}
