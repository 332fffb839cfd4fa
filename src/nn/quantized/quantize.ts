/**
 * Quantize and DeQuantize: what convert makes of the stubs.
 *
 * Quantize uses the native rule, which clamps to the whole dtype, not to the observer's range. Its state is PyTorch's:
 * scale float32 [1], zero_point int64 [1]. Source: torch/ao/nn/quantized/modules/__init__.py.
 */

import { dequantize, quantizePerTensor } from "../../ops/quantize/native.ts";
import { fromArray } from "../../tensor/create.ts";
import type { QuantizedDType } from "../../tensor/dtype.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { AnyModule } from "../module.ts";
import { Module } from "../module.ts";
import { QuantizedOutputModule } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { outputQParams } from "./observed.ts";
import type { FromFloatOptions } from "./observed.ts";

export class Quantize extends QuantizedOutputModule {
  readonly dtype: QuantizedDType;

  constructor(scale: number, zeroPoint: number, dtype: QuantizedDType) {
    super();
    this.scale = scale;
    this.zeroPoint = zeroPoint;
    this.dtype = dtype;
  }

  forward(x: Tensor): Tensor {
    return quantizePerTensor(x, this.scale, this.zeroPoint, this.dtype);
  }

  override extraState(): StateEntries {
    return { scale: fromArray([this.scale], [1]), zero_point: fromArray([this.zeroPoint], [1], "int64") };
  }

  /** From an observed QuantStub. @throws QuantError when its observer saw nothing. */
  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): Quantize {
    const { scale, zeroPoint, dtype } = outputQParams(module, options);
    return new Quantize(scale, zeroPoint, dtype);
  }
}

export class DeQuantize extends Module {
  forward(x: Tensor): Tensor {
    return dequantize(x);
  }

  static fromFloat(): DeQuantize {
    return new DeQuantize();
  }
}
