/**
 * Quantized activation layers that have parameters of their own. Everything else (ReLU, Sigmoid, Tanh, Hardtanh ...)
 * stays the float layer, whose operator takes quantized tensors too.
 * Source: torch/ao/nn/quantized/modules/activation.py.
 */

import {
  quantizedElu,
  quantizedHardswish,
  quantizedLeakyRelu,
  quantizedRelu6,
  quantizedSigmoid,
} from "../../ops/quantized/activations.ts";
import { quantizedSoftmax } from "../../ops/quantized/joins.ts";
import { quantizedPrelu } from "../../ops/quantized/prelu.ts";
import { allocate } from "../../tensor/dtype.ts";
import { perTensor } from "../../tensor/qparams.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type * as float from "../activation.ts";
import { Module } from "../module.ts";
import { QuantizedOutputModule, requireQuantized, takeTensor } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { applyOutput, makeWeightObserver, quantizeWeight } from "./observed.ts";
import type { FromFloatOptions } from "./observed.ts";

/** min(max(x, 0), 6); keeps the parameters of its input. */
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return quantizedRelu6(requireQuantized(this, x));
  }

  static fromFloat(): ReLU6 {
    return new ReLU6();
  }
}

export class Hardswish extends QuantizedOutputModule {
  forward(x: Tensor): Tensor {
    return quantizedHardswish(requireQuantized(this, x), this.output);
  }

  static fromFloat(module: float.Hardswish, options: FromFloatOptions = {}): Hardswish {
    return applyOutput(new Hardswish(), module, options);
  }
}

export class ELU extends QuantizedOutputModule {
  readonly alpha: number;

  constructor({ alpha = 1 }: { readonly alpha?: number } = {}) {
    super();
    this.alpha = alpha;
  }

  forward(x: Tensor): Tensor {
    return quantizedElu(requireQuantized(this, x), { ...this.output, alpha: this.alpha });
  }

  static fromFloat(module: float.ELU, options: FromFloatOptions = {}): ELU {
    return applyOutput(new ELU({ alpha: module.alpha }), module, options);
  }
}

export class LeakyReLU extends QuantizedOutputModule {
  readonly negativeSlope: number;

  constructor({ negativeSlope = 0.01 }: { readonly negativeSlope?: number } = {}) {
    super();
    this.negativeSlope = negativeSlope;
  }

  forward(x: Tensor): Tensor {
    return quantizedLeakyRelu(requireQuantized(this, x), { ...this.output, negativeSlope: this.negativeSlope });
  }

  static fromFloat(module: float.LeakyReLU, options: FromFloatOptions = {}): LeakyReLU {
    return applyOutput(new LeakyReLU({ negativeSlope: module.negativeSlope }), module, options);
  }
}

/** Sigmoid with output parameters of its own. Not in the default table: the float layer has fixed ones. */
export class Sigmoid extends QuantizedOutputModule {
  forward(x: Tensor): Tensor {
    return quantizedSigmoid(requireQuantized(this, x), this.output);
  }

  static fromFloat(module: float.Sigmoid, options: FromFloatOptions = {}): Sigmoid {
    return applyOutput(new Sigmoid(), module, options);
  }
}

/** Softmax along `dim`. Not in the default table. */
export class Softmax extends QuantizedOutputModule {
  readonly dim: number;

  constructor(dim: number) {
    super();
    this.dim = dim;
  }

  forward(x: Tensor): Tensor {
    return quantizedSoftmax(requireQuantized(this, x), { dim: this.dim, ...this.output });
  }

  static fromFloat(module: float.Softmax, options: FromFloatOptions = {}): Softmax {
    return applyOutput(new Softmax(module.dim), module, options);
  }
}

/** PReLU; its slopes are quint8 whatever the qconfig's weight dtype, as in PyTorch. */
export class PReLU extends QuantizedOutputModule {
  readonly numParameters: number;
  weight: Tensor;

  constructor({ numParameters = 1 }: { readonly numParameters?: number } = {}) {
    super();
    this.numParameters = numParameters;
    this.weight = new Tensor("quint8", [numParameters], allocate("quint8", numParameters), perTensor(1, 0));
  }

  forward(x: Tensor): Tensor {
    return quantizedPrelu(requireQuantized(this, x), this.weight, this.output);
  }

  override extraState(): StateEntries {
    return { weight: this.weight, ...super.extraState() };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weight = takeTensor(this, state, "weight", this.weight);
    return ["weight", ...super.loadExtraState(state)];
  }

  static fromFloat(module: float.PReLU, options: FromFloatOptions = {}): PReLU {
    const prelu = new PReLU({ numParameters: module.numParameters });
    const observer = makeWeightObserver(module);
    observer.forward(module.weight.detach());
    prelu.weight = quantizeWeight(module, module.weight, observer, { dtype: "quint8", clampToObserver: false });
    return applyOutput(prelu, module, options);
  }
}
