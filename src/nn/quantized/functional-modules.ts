/**
 * QFunctional: the quantized counterpart of FloatFunctional.
 *
 * Results of add, mul, cat and matmul take the module's scale and zero point; adding or multiplying a number only
 * moves the parameters. Source: torch/ao/nn/quantized/modules/functional_modules.py.
 */

import { quantizedAdd, quantizedAddScalar, quantizedMul, quantizedMulScalar } from "../../ops/quantized/arithmetic.ts";
import { quantizedCat, quantizedMatmul } from "../../ops/quantized/joins.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { refuseForward } from "../float-functional.ts";
import type { FloatFunctional, FunctionalOperations } from "../float-functional.ts";
import { Identity } from "../linear.ts";
import type { Module } from "../module.ts";
import { QuantizedOutputModule, requireQuantized } from "./base.ts";
import { outputObserver, outputQParams } from "./observed.ts";
import type { FromFloatOptions } from "./observed.ts";

export class QFunctional extends QuantizedOutputModule<never[]> implements FunctionalOperations {
  activationPostProcess: Module = new Identity();

  /** @throws ModuleError always */
  forward(): never {
    return refuseForward("QFunctional");
  }

  add(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(quantizedAdd(this.take(x), this.take(y), this.output));
  }

  addRelu(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(quantizedAdd(this.take(x), this.take(y), { ...this.output, relu: true }));
  }

  addScalar(x: Tensor, y: number): Tensor {
    return quantizedAddScalar(this.take(x), y);
  }

  mul(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(quantizedMul(this.take(x), this.take(y), this.output));
  }

  mulScalar(x: Tensor, y: number): Tensor {
    return quantizedMulScalar(this.take(x), y);
  }

  cat(tensors: readonly Tensor[], dim = 0): Tensor {
    const joined = quantizedCat(
      tensors.map((one) => this.take(one)),
      { dim, ...this.output },
    );
    return this.activationPostProcess.forward(joined);
  }

  matmul(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(quantizedMatmul(this.take(x), this.take(y), this.output));
  }

  private take(x: Tensor): Tensor {
    return requireQuantized(this, x);
  }

  /** From an observed FloatFunctional. @throws QuantError when nothing ever went through it. */
  static fromFloat(module: FloatFunctional, options: FromFloatOptions = {}): QFunctional {
    const functional = new QFunctional();
    // Scalar operations have no use for output parameters, and nobody observes them.
    if (module.usedWithScalar && !outputObserver(module).calculateQParams().observed) return functional;
    const { scale, zeroPoint } = outputQParams(module, options);
    functional.scale = scale;
    functional.zeroPoint = zeroPoint;
    return functional;
  }
}
