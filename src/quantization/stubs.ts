/**
 * The modules by which a float model says where its integers begin and end.
 *
 * In the float model they do nothing. `prepare` observes what passes a QuantStub, `convert` replaces the stubs by
 * Quantize and DeQuantize. Source: torch/ao/quantization/stubs.py.
 */

import { Module } from "../nn/module.ts";
import type { AnyModule } from "../nn/module.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Marks where float values become integers. */
export class QuantStub extends Module {
  constructor(qconfig?: unknown) {
    super();
    if (qconfig !== undefined) this.qconfig = qconfig;
  }

  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Marks where integers become float values again. */
export class DeQuantStub extends Module {
  constructor(qconfig?: unknown) {
    super();
    if (qconfig !== undefined) this.qconfig = qconfig;
  }

  forward(x: Tensor): Tensor {
    return x;
  }
}

/** A module between two stubs: dequant(module(quant(x))). Takes over the module's qconfig and mode. */
export class QuantWrapper extends Module {
  quant: Module;
  dequant: Module;
  module: Module;

  constructor(module: AnyModule) {
    super();
    this.quant = new QuantStub(module.qconfig);
    this.dequant = new DeQuantStub(module.qconfig);
    this.module = module as unknown as Module;
    this.train(module.training);
  }

  forward(x: Tensor): Tensor {
    return this.dequant.forward(this.module.forward(this.quant.forward(x)));
  }
}
