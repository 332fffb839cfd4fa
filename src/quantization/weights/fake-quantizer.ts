/**
 * Fake quantization to a few bits by token, channel or group, for training towards `quantizeModel`'s configs.
 * Source: IntxFakeQuantizer and IntxFakeQuantizeConfig, torchao/quantization/qat.
 */

import { ArgumentError, QuantError } from "../../errors.ts";
import { Module } from "../../nn/module.ts";
import { add, div, mul, sub } from "../../ops/arithmetic.ts";
import { clamp } from "../../ops/clamp.ts";
import { chooseQParamsAffine, fakeQuantizeAffine } from "../../ops/quantize/affine.ts";
import type { MappingType } from "../../ops/quantize/numerics.ts";
import { expand, reshape } from "../../ops/shape.ts";
import { round } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { intxRange } from "./affine-weight.ts";
import type { IntxDType } from "./affine-weight.ts";
import { PerAxis, PerGroup, PerToken } from "./granularity.ts";

/** Smallest learned scale. */
const SMALLEST_LEARNED_SCALE = 1e-9;

export interface IntxFakeQuantizeOptions {
  readonly dtype: IntxDType;
  /** Default per token for activations given by name; exactly one of granularity and groupSize. */
  readonly granularity?: "per_token" | "per_channel" | PerToken | PerAxis | PerGroup;
  readonly groupSize?: number;
  readonly mappingType?: MappingType;
  /** In place of mappingType. */
  readonly isSymmetric?: boolean;
  /** Parameters anew at every forward; else from the first only. */
  readonly isDynamic?: boolean;
  /** Scales (and zero points) are parameters that train. */
  readonly rangeLearning?: boolean;
  readonly eps?: number;
}

function granularityOf({ granularity, groupSize }: IntxFakeQuantizeOptions): PerToken | PerAxis | PerGroup {
  if ((granularity === undefined) === (groupSize === undefined)) {
    throw new ArgumentError(
      "IntxFakeQuantizeConfig",
      { granularity, groupSize },
      "give either granularity or groupSize",
    );
  }
  if (groupSize !== undefined) return new PerGroup(groupSize);
  if (granularity === "per_token") return new PerToken();
  return granularity === "per_channel" ? new PerAxis(0) : granularity!;
}

/** Frozen settings of an IntxFakeQuantizer. */
export class IntxFakeQuantizeConfig {
  readonly dtype: IntxDType;
  readonly granularity: PerToken | PerAxis | PerGroup;
  readonly mappingType: MappingType;
  readonly isDynamic: boolean;
  readonly rangeLearning: boolean;
  readonly eps: number | null;

  /**
   * @throws ArgumentError for settings that exclude each other, and for combinations torchao computes wrongly or not
   * at all: symmetric tokens, asymmetric channels and groups.
   */
  constructor(options: IntxFakeQuantizeOptions) {
    const where = "IntxFakeQuantizeConfig";
    intxRange(options.dtype);
    const { isSymmetric, rangeLearning = false, isDynamic = !rangeLearning } = options;
    if (isSymmetric !== undefined && options.mappingType !== undefined) {
      throw new ArgumentError(
        where,
        { isSymmetric, mappingType: options.mappingType },
        "give either mappingType or isSymmetric",
      );
    }
    if (isDynamic && rangeLearning)
      throw new ArgumentError(where, { isDynamic, rangeLearning }, "learned ranges cannot be dynamic");
    this.granularity = granularityOf(options);
    this.mappingType = options.mappingType ?? (isSymmetric === false ? "ASYMMETRIC" : "SYMMETRIC");
    const perToken = this.granularity instanceof PerToken;
    if (perToken !== (this.mappingType === "ASYMMETRIC")) {
      throw new ArgumentError(
        where,
        { granularity: this.granularity.constructor.name, mappingType: this.mappingType },
        "tokens are quantized asymmetrically, channels and groups symmetrically",
      );
    }
    this.dtype = options.dtype;
    this.isDynamic = isDynamic;
    this.rangeLearning = rangeLearning;
    this.eps = options.eps ?? null;
    Object.freeze(this);
  }
}

/** x rounded to integers, with the gradient of x. */
function roundStraightThrough(x: Tensor): Tensor {
  return add(x, noGrad(() => sub(round(x), x)).detach());
}

export class IntxFakeQuantizer extends Module {
  readonly config: IntxFakeQuantizeConfig;
  enabled = true;
  /** Parameters when learned, else what the last forward used; null before. */
  scale: Tensor | null = null;
  zeroPoint: Tensor | null = null;

  constructor(config: IntxFakeQuantizeConfig) {
    super();
    this.config = config;
  }

  /** @throws QuantError when learned ranges were not initialized. */
  forward(x: Tensor): Tensor {
    if (!this.enabled) return x;
    const { config } = this;
    const blockSize = config.granularity.blockSize(x.shape);
    if (config.rangeLearning) return this.learned(x, blockSize);
    if (config.isDynamic || !this.scale) [this.scale, this.zeroPoint] = this.choose(x, blockSize);
    return fakeQuantizeAffine(x, blockSize, this.scale, this.zeroPoint, "int8", intxRange(config.dtype));
  }

  /** Makes scale and zero point parameters, from one input; before the optimizer is built. */
  initialize(x: Tensor): void {
    const [scale, zeroPoint] = this.choose(x, this.config.granularity.blockSize(x.shape));
    this.scale = new Parameter(scale);
    this.zeroPoint = new Parameter(zeroPoint, this.config.mappingType === "ASYMMETRIC");
  }

  private choose(x: Tensor, blockSize: readonly number[]): [Tensor, Tensor] {
    const { dtype, mappingType, eps, rangeLearning } = this.config;
    const zeroPointDType = rangeLearning ? "float32" : "int32";
    const options = { ...intxRange(dtype), zeroPointDType, ...(eps !== null && { eps }) } as const;
    return noGrad(() => chooseQParamsAffine(x.detach(), mappingType, blockSize, "int8", options));
  }

  // (clamp(round(x / s) + round(z)) - round(z)) s, where rounding passes gradients through.
  private learned(x: Tensor, blockSize: readonly number[]): Tensor {
    if (!this.scale || !this.zeroPoint) {
      throw new QuantError(
        "IntxFakeQuantizer",
        { path: this.path },
        "its range is learned, but was not initialized",
        "Call initializeFakeQuantizers(model, sampleInput) before building the optimizer",
      );
    }
    const { quantMin, quantMax } = intxRange(this.config.dtype);
    const scale = spread(clamp(this.scale, SMALLEST_LEARNED_SCALE, null), x, blockSize);
    const zeroPoint = spread(clamp(roundStraightThrough(this.zeroPoint), quantMin, quantMax), x, blockSize);
    const q = clamp(add(roundStraightThrough(div(x, scale)), zeroPoint), quantMin, quantMax);
    return mul(sub(q, zeroPoint), scale);
  }
}

/** One value a block → one an element of x; blocks lie along the last axis. */
function spread(parameter: Tensor, x: Tensor, blockSize: readonly number[]): Tensor {
  const group = blockSize.at(-1)!;
  const blocks = x.shape.map((size, i) => size / blockSize[i]!);
  return reshape(expand(reshape(parameter, [...blocks, 1]), [...blocks, group]), x.shape);
}

/** Initializes every learned range below `model` by running it once. */
export function initializeFakeQuantizers(model: Module, sampleInput: Tensor): void {
  const handles = model.modules().flatMap((module) => {
    if (!(module instanceof IntxFakeQuantizer) || !module.config.rangeLearning) return [];
    return [module.registerForwardPreHook((_, [x]) => void module.initialize(x as Tensor))];
  });
  try {
    noGrad(() => model.forward(sampleInput));
  } finally {
    for (const handle of handles) handle.remove();
  }
}
