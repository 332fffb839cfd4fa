/**
 * Quantization-aware training for `quantizeModel`: one config whose first step puts fake-quantizers into linear and
 * embedding layers, and whose second takes them out and quantizes for real. Source: torchao/quantization/qat/api.py.
 */

import { ArgumentError, QuantError } from "../../errors.ts";
import { Embedding } from "../../nn/embedding.ts";
import { Linear } from "../../nn/linear.ts";
import type { AnyModule } from "../../nn/module.ts";
import { embedding } from "../../ops/embedding.ts";
import { linear } from "../../ops/linear.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Int8DynamicActivationIntxWeightConfig, IntxWeightOnlyConfig } from "./configs.ts";
import { IntxFakeQuantizeConfig, IntxFakeQuantizer } from "./fake-quantizer.ts";
import { PerAxis, PerGroup } from "./granularity.ts";
import { quantizeWith, registerQuantizeModuleHandler } from "./quantize-model.ts";

/** Fake-quantizers of a layer; null leaves that side float. */
interface Pair {
  readonly activation: IntxFakeQuantizeConfig | null;
  readonly weight: IntxFakeQuantizeConfig | null;
}

function weightConfigOf(
  where: string,
  { weightDtype, granularity, mappingType }: Pick<IntxWeightOnlyConfig, "weightDtype" | "granularity" | "mappingType">,
): IntxFakeQuantizeConfig {
  if (!(granularity instanceof PerAxis || granularity instanceof PerGroup)) {
    throw new ArgumentError(
      where,
      { granularity: granularity.constructor.name },
      "weights must be quantized PerGroup or PerAxis to be trained",
    );
  }
  return new IntxFakeQuantizeConfig({ dtype: weightDtype, granularity, mappingType });
}

/** The fake-quantizers that imitate a config. @throws QuantError for configs that cannot be trained towards. */
function imitate(base: object): Pair {
  if (base instanceof IntxWeightOnlyConfig) return { activation: null, weight: weightConfigOf("QATConfig", base) };
  if (base instanceof Int8DynamicActivationIntxWeightConfig) {
    const { weightDtype, weightGranularity: granularity, weightMappingType: mappingType } = base;
    return {
      activation: new IntxFakeQuantizeConfig({ dtype: "int8", granularity: "per_token", isSymmetric: false }),
      weight: weightConfigOf("QATConfig", { weightDtype, granularity, mappingType }),
    };
  }
  throw new QuantError(
    "QATConfig",
    { base: base.constructor.name },
    "there is no fake quantization that imitates this config",
    "Give activationConfig and weightConfig instead",
  );
}

export interface QATOptions {
  /** What to quantize to in the end: prepare derives fake-quantizers from it, convert applies it. */
  readonly baseConfig?: object | null;
  readonly activationConfig?: IntxFakeQuantizeConfig | null;
  readonly weightConfig?: IntxFakeQuantizeConfig | null;
  readonly step?: "prepare" | "convert";
}

export class QATConfig {
  readonly baseConfig: object | null;
  readonly activationConfig: IntxFakeQuantizeConfig | null;
  readonly weightConfig: IntxFakeQuantizeConfig | null;
  readonly step: "prepare" | "convert";

  /** @throws ArgumentError for combinations that mean nothing. */
  constructor({ baseConfig = null, activationConfig = null, weightConfig = null, step = "prepare" }: QATOptions) {
    const explicit = activationConfig !== null || weightConfig !== null;
    if (baseConfig instanceof IntxFakeQuantizeConfig)
      throw new ArgumentError(
        "QATConfig",
        {},
        "baseConfig must be a config to quantize by, not a fake-quantize config",
      );
    if (baseConfig && explicit)
      throw new ArgumentError("QATConfig", {}, "give either baseConfig or activationConfig and weightConfig");
    if (step === "prepare" && !baseConfig && !explicit)
      throw new ArgumentError(
        "QATConfig",
        { step },
        "prepare needs a baseConfig, or an activationConfig or weightConfig",
      );
    if (step === "convert" && explicit)
      throw new ArgumentError("QATConfig", { step }, "convert takes no activationConfig or weightConfig");
    this.baseConfig = baseConfig;
    this.activationConfig = activationConfig;
    this.weightConfig = weightConfig;
    this.step = step;
    Object.freeze(this);
  }

  get pair(): Pair {
    return this.baseConfig
      ? imitate(this.baseConfig)
      : { activation: this.activationConfig, weight: this.weightConfig };
  }
}

const stateNames = {
  activationFakeQuantizer: "activation_fake_quantizer",
  weightFakeQuantizer: "weight_fake_quantizer",
};

function quantizerOf(config: IntxFakeQuantizeConfig | null): IntxFakeQuantizer | null {
  return config && new IntxFakeQuantizer(config);
}

/** A linear layer that rounds its input and weight while it trains. Shares the float layer's parameters. */
export class FakeQuantizedLinear extends Linear {
  static override readonly stateNames = stateNames;
  activationFakeQuantizer: IntxFakeQuantizer | null = null;
  weightFakeQuantizer: IntxFakeQuantizer | null = null;

  override forward(x: Tensor): Tensor {
    const input = this.activationFakeQuantizer?.forward(x) ?? x;
    const weight = this.weightFakeQuantizer?.forward(this.weight) ?? this.weight;
    return linear(input, weight, this.bias);
  }

  static fromLinear(module: Linear, { activation, weight }: Pair): FakeQuantizedLinear {
    const [outputs, inputs] = module.weight.shape as [number, number];
    const layer = new FakeQuantizedLinear(inputs, outputs, { bias: module.bias !== null });
    layer.weight = module.weight;
    layer.bias = module.bias;
    layer.activationFakeQuantizer = quantizerOf(activation);
    layer.weightFakeQuantizer = quantizerOf(weight);
    return layer.train(module.training);
  }

  /** The float layer again, with the trained parameters. */
  toLinear(): Linear {
    const [outputs, inputs] = this.weight.shape as [number, number];
    const layer = new Linear(inputs, outputs, { bias: this.bias !== null });
    layer.weight = this.weight;
    layer.bias = this.bias;
    return layer.train(this.training);
  }
}

/** An embedding that rounds its weight while it trains. */
export class FakeQuantizedEmbedding extends Embedding {
  static override readonly stateNames = stateNames;
  weightFakeQuantizer: IntxFakeQuantizer | null = null;

  override forward(indices: Tensor): Tensor {
    const weight = this.weightFakeQuantizer?.forward(this.weight) ?? this.weight;
    return embedding(indices, weight, { paddingIdx: this.paddingIdx });
  }

  /** @throws QuantError for an activation config: indices are not quantized. */
  static fromEmbedding(module: Embedding, { activation, weight }: Pair): FakeQuantizedEmbedding {
    if (activation)
      throw new QuantError(
        "QATConfig",
        { path: module.path },
        "an embedding's input cannot be quantized",
        "Narrow the filter, or give a weightConfig only",
      );
    const layer = new FakeQuantizedEmbedding(module.numEmbeddings, module.embeddingDim, {
      paddingIdx: module.paddingIdx,
    });
    layer.weight = module.weight;
    layer.weightFakeQuantizer = quantizerOf(weight);
    return layer.train(module.training);
  }

  toEmbedding(): Embedding {
    const layer = new Embedding(this.numEmbeddings, this.embeddingDim, { paddingIdx: this.paddingIdx });
    layer.weight = this.weight;
    return layer.train(this.training);
  }
}

function prepareModule(module: AnyModule, config: QATConfig): AnyModule {
  if (module instanceof Linear) return FakeQuantizedLinear.fromLinear(module, config.pair);
  if (module instanceof Embedding) return FakeQuantizedEmbedding.fromEmbedding(module, config.pair);
  throw new QuantError(
    "QATConfig",
    { module: module.constructor.name, path: module.path },
    "only linear layers and embeddings can be fake-quantized",
  );
}

function convertModule(module: AnyModule, { baseConfig }: QATConfig): AnyModule {
  const float =
    module instanceof FakeQuantizedLinear
      ? module.toLinear()
      : module instanceof FakeQuantizedEmbedding
        ? module.toEmbedding()
        : module;
  float.path = module.path;
  return baseConfig ? quantizeWith(float, baseConfig) : float;
}

registerQuantizeModuleHandler(QATConfig, (module, config) =>
  config.step === "prepare" ? prepareModule(module, config) : convertModule(module, config),
);
