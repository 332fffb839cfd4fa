/** A kernel to time on its own, its operands already in an engine's memory. */

import type { Engine } from "../../src/engine/engine.ts";
import type { Variant } from "../../src/kernels/qgemm/list.ts";

export interface KernelWork {
  /** What it is printed under. */
  readonly section: string;
  readonly name: string;
  /** What one call counts for: operations (a multiply-add is two) or bytes. */
  readonly amount: number;
  readonly unit: "GOP/s" | "GB/s";
  /** Places operands; integer products may be forced to a variant, by default the fastest exact one. */
  make(engine: Engine, variant?: Variant): { readonly call: () => void; readonly free: () => void };
}
