/**
 * What `quantizeModel` can do to a linear layer, as frozen values. Defaults are torchao's
 * (torchao/quantization/quant_api.py).
 */

import { ArgumentError } from "../../errors.ts";
import type { MappingType } from "../../ops/quantize/numerics.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { intxRange } from "./affine-weight.ts";
import type { IntxDType } from "./affine-weight.ts";
import { PerAxis, PerGroup, PerRow } from "./granularity.ts";
import type { Granularity } from "./granularity.ts";

/** int8 weights, activations untouched. */
export class Int8WeightOnlyConfig {
  readonly granularity: Granularity;

  constructor({ granularity = new PerRow() }: { readonly granularity?: Granularity } = {}) {
    this.granularity = granularity;
    Object.freeze(this);
  }
}

export interface Int8DynamicOptions {
  /** Of activations and weights. */
  readonly granularity?: Granularity;
  readonly actMappingType?: MappingType;
  /** -64..63 on both sides, for kernels whose 16-bit sums would overflow. */
  readonly reduceRange?: boolean;
}

/** int8 weights, and activations quantized to int8 as they come. */
export class Int8DynamicActivationInt8WeightConfig {
  readonly granularity: Granularity;
  readonly actMappingType: MappingType;
  readonly reduceRange: boolean;

  constructor({
    granularity = new PerRow(),
    actMappingType = "SYMMETRIC",
    reduceRange = false,
  }: Int8DynamicOptions = {}) {
    this.granularity = granularity;
    this.actMappingType = actMappingType;
    this.reduceRange = reduceRange;
    Object.freeze(this);
  }
}

export interface Int8StaticOptions {
  /** One scale, calibrated elsewhere. */
  readonly actQuantScale: Tensor;
  readonly actQuantZeroPoint?: Tensor | null;
  readonly granularity?: Granularity;
  readonly reduceRange?: boolean;
}

/** int8 weights, and activations quantized by a scale that is given. */
export class Int8StaticActivationInt8WeightConfig {
  readonly actQuantScale: Tensor;
  readonly actQuantZeroPoint: Tensor | null;
  readonly granularity: Granularity;
  readonly reduceRange: boolean;

  constructor({
    actQuantScale,
    actQuantZeroPoint = null,
    granularity = new PerRow(),
    reduceRange = false,
  }: Int8StaticOptions) {
    this.actQuantScale = actQuantScale;
    this.actQuantZeroPoint = actQuantZeroPoint;
    this.granularity = granularity;
    this.reduceRange = reduceRange;
    Object.freeze(this);
  }
}

export interface IntxWeightOptions {
  readonly weightDtype?: IntxDType;
  readonly granularity?: Granularity;
  readonly mappingType?: MappingType;
}

/** Weights of 1 to 8 bits, activations untouched. */
export class IntxWeightOnlyConfig {
  readonly weightDtype: IntxDType;
  readonly granularity: Granularity;
  readonly mappingType: MappingType;

  /** @throws ArgumentError for an unknown dtype. */
  constructor({
    weightDtype = "int8",
    granularity = new PerAxis(0),
    mappingType = "SYMMETRIC",
  }: IntxWeightOptions = {}) {
    intxRange(weightDtype);
    this.weightDtype = weightDtype;
    this.granularity = granularity;
    this.mappingType = mappingType;
    Object.freeze(this);
  }
}

export interface Int8DynamicIntxOptions {
  readonly weightDtype?: IntxDType;
  readonly weightGranularity?: Granularity;
  readonly weightMappingType?: MappingType;
}

/** Weights of 1 to 8 bits in groups, and activations quantized to int8 a token at a time, asymmetrically. */
export class Int8DynamicActivationIntxWeightConfig {
  readonly weightDtype: IntxDType;
  readonly weightGranularity: Granularity;
  readonly weightMappingType: MappingType;

  /** @throws ArgumentError for an unknown dtype, or weights that are neither grouped nor per axis. */
  constructor(options: Int8DynamicIntxOptions = {}) {
    const { weightDtype = "int8", weightGranularity = new PerGroup(32), weightMappingType = "SYMMETRIC" } = options;
    intxRange(weightDtype);
    if (!(weightGranularity instanceof PerGroup || weightGranularity instanceof PerAxis)) {
      throw new ArgumentError(
        "Int8DynamicActivationIntxWeightConfig",
        { weightGranularity: weightGranularity.constructor.name },
        "weights must be quantized PerGroup or PerAxis",
      );
    }
    this.weightDtype = weightDtype;
    this.weightGranularity = weightGranularity;
    this.weightMappingType = weightMappingType;
    Object.freeze(this);
  }
}

/** 4-bit weights in groups with a zero point each, activations untouched. */
export class Int4WeightOnlyConfig {
  readonly groupSize: number;

  constructor({ groupSize = 128 }: { readonly groupSize?: number } = {}) {
    this.groupSize = new PerGroup(groupSize).groupSize;
    Object.freeze(this);
  }
}

export type WeightConfig =
  | Int8WeightOnlyConfig
  | Int8DynamicActivationInt8WeightConfig
  | Int8StaticActivationInt8WeightConfig
  | IntxWeightOnlyConfig
  | Int8DynamicActivationIntxWeightConfig
  | Int4WeightOnlyConfig;
