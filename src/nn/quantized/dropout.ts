/**
 * Dropout of quantized tensors: nothing, in training too. Source: torch/ao/nn/quantized/modules/dropout.py.
 */

import type { Tensor } from "../../tensor/tensor.ts";
import type * as float from "../dropout.ts";
import { Module } from "../module.ts";

export class Dropout extends Module {
  readonly p: number;

  constructor(p = 0.5) {
    super();
    this.p = p;
  }

  forward(x: Tensor): Tensor {
    return x;
  }

  static fromFloat(module: float.Dropout): Dropout {
    return new Dropout(module.p);
  }
}
