/**
 * X86Quantizer: uint8 activations, int8 weights per output channel, for x86 processors (X86InductorQuantizer of
 * torchao). Settings must agree on training and on dynamic ranges.
 * Source: torchao/quantization/pt2e/quantizer/x86_inductor_quantizer.py.
 */

import { QuantError } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { nearNames } from "../eager/names.ts";
import { FusedMovingAvgObsFakeQuantize } from "../fake-quantize/fused.ts";
import { MovingAveragePerChannelMinMaxObserver, PerChannelMinMaxObserver } from "../observers/min-max.ts";
import { PlaceholderObserver } from "../observers/passive.ts";
import { getModuleNameFilter, requireModuleName } from "./filters.ts";
import { isDynamicConfig, requireConfig, requireSettings } from "./quantization-config.ts";
import type { QuantizationConfig } from "./quantization-config.ts";
import { Quantizer } from "./quantizer.ts";
import { QuantizationSpec } from "./spec.ts";
import { X86Annotator, exactlyOne, isDefaultQuantizable } from "./x86-patterns.ts";
import { activationObserver } from "./xnnpack-quantizer.ts";

export interface X86ConfigOptions {
  readonly isQat?: boolean;
  readonly isDynamic?: boolean;
  /** Activations in 0..127, for processors without VNNI. */
  readonly reduceRange?: boolean;
}

/** uint8 affine activations and int8 weights symmetric per output channel; scales of at least 2^-12. */
export function getDefaultX86QuantizationConfig({
  isQat = false,
  isDynamic = false,
  reduceRange = false,
}: X86ConfigOptions = {}): QuantizationConfig {
  const activation = new QuantizationSpec({
    dtype: "uint8",
    quantMin: 0,
    quantMax: reduceRange ? 127 : 255,
    qscheme: "per_tensor_affine",
    isDynamic,
    observerOrFakeQuantCtr: activationObserver(isQat, isDynamic),
  });
  const weight = new QuantizationSpec({
    dtype: "int8",
    quantMin: -128,
    quantMax: 127,
    qscheme: "per_channel_symmetric",
    chAxis: 0,
    observerOrFakeQuantCtr: isQat
      ? FusedMovingAvgObsFakeQuantize.withArgs({ observer: MovingAveragePerChannelMinMaxObserver, eps: EPS_2_12 })
      : PerChannelMinMaxObserver.withArgs({ eps: EPS_2_12 }),
  });
  return Object.freeze({ inputActivation: activation, outputActivation: activation, weight, bias: null, isQat });
}

/** Linear weights stored as float16, all computation in float32. */
export function getX86LinearDynamicFp16Config(): QuantizationConfig {
  const weight = new QuantizationSpec({ dtype: "float16", observerOrFakeQuantCtr: PlaceholderObserver });
  return Object.freeze({ inputActivation: null, outputActivation: null, weight, bias: null, isQat: false });
}

/** The operator a module class or function stands for. */
const operators: Readonly<Record<string, string>> = {
  Conv1d: "conv1d",
  Conv2d: "conv2d",
  Linear: "linear",
  MaxPool2d: "maxPool2d",
  AvgPool2d: "avgPool2d",
  AdaptiveAvgPool2d: "adaptiveAvgPool2d",
  conv1d: "conv1d",
  conv2d: "conv2d",
  linear: "linear",
  maxPool2d: "maxPool2d",
  avgPool2d: "avgPool2d",
  adaptiveAvgPool2d: "adaptiveAvgPool2d",
  cat: "cat",
  flatten: "reshape",
  matmul: "matmul",
  mul: "mul",
};

/** A class or function with a name, or the name. */
export type NamedType = string | { readonly name: string };

export class X86Quantizer extends Quantizer {
  private globalConfig: QuantizationConfig | null = null;
  private readonly operatorConfigs = new Map<string, QuantizationConfig | null>();
  private readonly nameConfigs = new Map<string, QuantizationConfig | null>();

  /** For everything that is quantized by default and no other setting names. @throws QuantError */
  setGlobal(config: QuantizationConfig): this {
    requireConfig("X86Quantizer", config);
    this.checkMode("setGlobal", config);
    this.globalConfig = config;
    return this;
  }

  /** For calls of one function; null leaves them float. @throws QuantError for functions that cannot be quantized. */
  setFunctionType(type: NamedType, config: QuantizationConfig | null): this {
    return this.setOperator("setFunctionType", type, config);
  }

  /** For calls made by a module class; null leaves them float. @throws QuantError */
  setModuleType(type: NamedType, config: QuantizationConfig | null): this {
    return this.setOperator("setModuleType", type, config);
  }

  /** For the module at a path and all inside it; null leaves it float. @throws QuantError */
  setModuleName(name: string, config: QuantizationConfig | null): this {
    this.checkMode("setModuleName", config);
    this.nameConfigs.set(name, config);
    return this;
  }

  /** @throws QuantError without any setting but null, and for configs of the other flow. */
  override checkSettings(isQat: boolean): void {
    requireSettings("X86Quantizer", this.settings(), isQat);
  }

  /** Module names first, then operators, then the global setting. @throws QuantError for names the graph has not. */
  override annotate(graph: Graph): void {
    const annotator = new X86Annotator(graph);
    for (const [name, config] of this.nameConfigs) {
      requireModuleName("X86Quantizer", graph, name);
      const isInside = getModuleNameFilter(name);
      annotator.apply(config, (nodes) => nodes.every(isInside));
    }
    for (const [operator, config] of this.operatorConfigs)
      annotator.apply(
        config,
        exactlyOne(({ target }) => target === operator),
      );
    if (this.globalConfig) annotator.apply(this.globalConfig, exactlyOne(isDefaultQuantizable));
    annotator.shareOutputs();
  }

  private settings(): (QuantizationConfig | null)[] {
    return [this.globalConfig, ...this.operatorConfigs.values(), ...this.nameConfigs.values()];
  }

  private setOperator(where: string, type: NamedType, config: QuantizationConfig | null): this {
    this.checkMode(where, config);
    const name = typeof type === "string" ? type : type.name;
    const operator = operators[name];
    if (operator === undefined) {
      const known = Object.keys(operators);
      const near = nearNames(name, known);
      throw new QuantError(
        `X86Quantizer.${where}`,
        { type: name },
        "this type cannot be quantized",
        `Known are ${(near.length > 0 ? near : known).join(", ")}`,
      );
    }
    this.operatorConfigs.set(operator, config);
    return this;
  }

  /** @throws QuantError when the config trains, or takes ranges at run time, and an earlier one does not. */
  private checkMode(where: string, config: QuantizationConfig | null): void {
    if (!config) return;
    for (const earlier of this.settings()) {
      if (!earlier) continue;
      const [isDynamic, wasDynamic] = [isDynamicConfig(config), isDynamicConfig(earlier)];
      const bothActive = config.inputActivation !== null && earlier.inputActivation !== null;
      if (config.isQat === earlier.isQat && (isDynamic === wasDynamic || !bothActive)) continue;
      const fields = { isQat: config.isQat, wasQat: earlier.isQat, isDynamic, wasDynamic };
      throw new QuantError(
        `X86Quantizer.${where}`,
        fields,
        "configs for training and not, or static and dynamic, cannot be mixed",
      );
    }
  }
}
