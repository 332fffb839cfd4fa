/**
 * Configs of `quantizeModel` with 8-bit floats, as frozen values. Defaults are torchao's
 * (torchao/quantization/quant_api.py); per-row scales work on float32 models too, where torchao asks for bfloat16.
 */

import { ArgumentError } from "../../errors.ts";
import type { Float8DType } from "../../ops/quantize/float8.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { PerGroup, PerRow, PerTensor } from "./granularity.ts";
import type { Granularity } from "./granularity.ts";

function checkGranularity(where: string, granularity: Granularity): void {
  if (granularity instanceof PerTensor || granularity instanceof PerRow) return;
  throw new ArgumentError(where, { granularity: granularity.constructor.name }, "must be PerTensor or PerRow");
}

export interface Float8WeightOptions {
  readonly weightDtype?: Float8DType;
  readonly granularity?: Granularity;
}

/** Weights as 8-bit floats, activations untouched. */
export class Float8WeightOnlyConfig {
  readonly weightDtype: Float8DType;
  readonly granularity: Granularity;

  /** @throws ArgumentError for a granularity other than PerTensor and PerRow. */
  constructor({ weightDtype = "float8_e4m3fn", granularity = new PerRow() }: Float8WeightOptions = {}) {
    checkGranularity("Float8WeightOnlyConfig", granularity);
    this.weightDtype = weightDtype;
    this.granularity = granularity;
    Object.freeze(this);
  }
}

export interface Float8DynamicOptions extends Float8WeightOptions {
  readonly activationDtype?: Float8DType;
  /** Limits of the activation's largest magnitude, from which its scale is computed. */
  readonly activationValueLb?: number | null;
  readonly activationValueUb?: number | null;
}

/** Weights as 8-bit floats, and activations rounded to 8-bit floats as they come; one granularity for both. */
export class Float8DynamicActivationFloat8WeightConfig {
  readonly activationDtype: Float8DType;
  readonly weightDtype: Float8DType;
  readonly granularity: Granularity;
  readonly activationValueLb: number | null;
  readonly activationValueUb: number | null;

  /** @throws ArgumentError for a granularity other than PerTensor and PerRow. */
  constructor(options: Float8DynamicOptions = {}) {
    const { granularity = new PerTensor() } = options;
    checkGranularity("Float8DynamicActivationFloat8WeightConfig", granularity);
    this.activationDtype = options.activationDtype ?? "float8_e4m3fn";
    this.weightDtype = options.weightDtype ?? "float8_e4m3fn";
    this.granularity = granularity;
    this.activationValueLb = options.activationValueLb ?? null;
    this.activationValueUb = options.activationValueUb ?? null;
    Object.freeze(this);
  }
}

export interface Float8StaticOptions extends Float8WeightOptions {
  /** float32, one entry, calibrated elsewhere. */
  readonly scale: Tensor;
  readonly activationDtype?: Float8DType;
}

/** Weights as 8-bit floats, and activations rounded to 8-bit floats by a scale that is given. */
export class Float8StaticActivationFloat8WeightConfig {
  readonly scale: Tensor;
  readonly activationDtype: Float8DType;
  readonly weightDtype: Float8DType;
  readonly granularity: Granularity;

  /** @throws ArgumentError for more than one scale, or a granularity other than PerTensor and PerRow. */
  constructor(options: Float8StaticOptions) {
    const { scale, granularity = new PerTensor() } = options;
    if (scale?.numel !== 1)
      throw new ArgumentError(
        "Float8StaticActivationFloat8WeightConfig",
        { scale: scale?.shape },
        "must have one scale for all activations",
      );
    checkGranularity("Float8StaticActivationFloat8WeightConfig", granularity);
    this.scale = scale;
    this.activationDtype = options.activationDtype ?? "float8_e4m3fn";
    this.weightDtype = options.weightDtype ?? "float8_e4m3fn";
    this.granularity = granularity;
    Object.freeze(this);
  }
}

/** 4-bit weights in groups, symmetric, and activations rounded to 8-bit floats a row at a time. */
export class Float8DynamicActivationInt4WeightConfig {
  readonly groupSize: number;

  constructor({ groupSize = 128 }: { readonly groupSize?: number } = {}) {
    this.groupSize = new PerGroup(groupSize).groupSize;
    Object.freeze(this);
  }
}
