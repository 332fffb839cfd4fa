/**
 * Sums, products and joins as modules, so that they can be observed and swapped like layers.
 *
 * A plain `add(x, y)` in a model's forward leaves nothing behind that could hold the output's scale; calling it through
 * a FloatFunctional does. `prepare` puts an observer in its `activationPostProcess`, `convert` makes it a QFunctional.
 * Source: torch/ao/nn/quantized/modules/functional_modules.py.
 */

import { ModuleError } from "../errors.ts";
import { relu } from "../ops/activation-linear.ts";
import { add, mul } from "../ops/arithmetic.ts";
import { cat } from "../ops/cat.ts";
import { matmul } from "../ops/matmul.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Identity } from "./linear.ts";
import { Module } from "./module.ts";

/** The operations FloatFunctional, FXFloatFunctional and QFunctional have in common. */
export interface FunctionalOperations {
  add(x: Tensor, y: Tensor): Tensor;
  addRelu(x: Tensor, y: Tensor): Tensor;
  addScalar(x: Tensor, y: number): Tensor;
  mul(x: Tensor, y: Tensor): Tensor;
  mulScalar(x: Tensor, y: number): Tensor;
  cat(tensors: readonly Tensor[], dim?: number): Tensor;
  matmul(x: Tensor, y: Tensor): Tensor;
}

/** @throws ModuleError always: these modules are used through their operations. */
export function refuseForward(name: string): never {
  throw new ModuleError(name, {}, "is not called; use its add, addRelu, mul, cat, matmul, addScalar or mulScalar");
}

/** Float operations whose results pass through `activationPostProcess`; results of the scalar forms do not. */
export class FloatFunctional extends Module<never[], never> implements FunctionalOperations {
  activationPostProcess: Module = new Identity();
  /** True once a scalar form was called: its results are not observed, so an observer without data is then no fault. */
  usedWithScalar = false;

  /** @throws ModuleError always */
  forward(): never {
    return refuseForward("FloatFunctional");
  }

  add(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(add(x, y));
  }

  addRelu(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(relu(add(x, y)));
  }

  addScalar(x: Tensor, y: number): Tensor {
    this.usedWithScalar = true;
    return add(x, y);
  }

  mul(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(mul(x, y));
  }

  mulScalar(x: Tensor, y: number): Tensor {
    this.usedWithScalar = true;
    return mul(x, y);
  }

  cat(tensors: readonly Tensor[], dim = 0): Tensor {
    return this.activationPostProcess.forward(cat(tensors, dim));
  }

  matmul(x: Tensor, y: Tensor): Tensor {
    return this.activationPostProcess.forward(matmul(x, y));
  }
}

/** The same without observation: graph modes watch the operators themselves. */
export class FXFloatFunctional extends Module<never[], never> implements FunctionalOperations {
  /** @throws ModuleError always */
  forward(): never {
    return refuseForward("FXFloatFunctional");
  }

  add(x: Tensor, y: Tensor): Tensor {
    return add(x, y);
  }

  addRelu(x: Tensor, y: Tensor): Tensor {
    return relu(add(x, y));
  }

  addScalar(x: Tensor, y: number): Tensor {
    return add(x, y);
  }

  mul(x: Tensor, y: Tensor): Tensor {
    return mul(x, y);
  }

  mulScalar(x: Tensor, y: number): Tensor {
    return mul(x, y);
  }

  cat(tensors: readonly Tensor[], dim = 0): Tensor {
    return cat(tensors, dim);
  }

  matmul(x: Tensor, y: Tensor): Tensor {
    return matmul(x, y);
  }
}
