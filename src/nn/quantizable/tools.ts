/**
 * What eager mode hands to custom modules: the flows by which an observed class prepares its children, and a quantized
 * class converts them. (Modules live below the flows and cannot import them.)
 */

import type { AnyModule } from "../module.ts";

/** Second argument of an observed class's `fromFloat`. */
export interface PrepareTools {
  /** Inserts observers into a module, in place. */
  readonly prepare: <M extends AnyModule>(module: M) => M;
  /** Makes a module's layers trainable with fake quantization, in place. */
  readonly prepareQat: <M extends AnyModule>(module: M) => M;
}

/** Second argument of a quantized class's `fromObserved`. */
export interface ConvertTools {
  /** A converted copy of an observed module. */
  readonly convert: <M extends AnyModule>(module: M) => M;
}
