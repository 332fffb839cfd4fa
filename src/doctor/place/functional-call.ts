/**
 * One call of a FloatFunctional as a module, so that a graph can hold it and convert can swap the functional inside.
 */

import { FloatFunctional } from "../../nn/float-functional.ts";
import type { FunctionalOperations } from "../../nn/float-functional.ts";
import type { AnyModule } from "../../nn/module.ts";
import { Module } from "../../nn/module.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export type FunctionalMethod = keyof FunctionalOperations;

/** forward(tensors) = functional.method(tensors), with the number or axis the call had. */
export class FunctionalCall extends Module<Tensor[]> {
  functional: AnyModule & FunctionalOperations = new FloatFunctional();
  readonly method: FunctionalMethod;
  /** The number of a scalar form; the axis of cat. */
  readonly constant: number;

  constructor(method: FunctionalMethod, constant = 0) {
    super();
    this.method = method;
    this.constant = constant;
  }

  forward(...x: Tensor[]): Tensor {
    const { functional, method, constant } = this;
    if (method === "cat") return functional.cat(x, constant);
    if (method === "addScalar" || method === "mulScalar") return functional[method](x[0]!, constant);
    return functional[method](x[0]!, x[1]!);
  }
}
