/**
 * XnnpackQuantizer: symmetric int8 weights, affine int8 activations, as XNNPACK and ExecuTorch run them.
 * Source: torchao/testing/pt2e/_xnnpack_quantizer.py.
 */

import { ArgumentError } from "../../errors.ts";
import type { Graph } from "../../graph/graph.ts";
import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { FakeQuantize } from "../fake-quantize/base.ts";
import { FusedMovingAvgObsFakeQuantize } from "../fake-quantize/fused.ts";
import type { FactoryLike } from "../factory.ts";
import { HistogramObserver } from "../observers/histogram.ts";
import {
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  PerChannelMinMaxObserver,
} from "../observers/min-max.ts";
import { PlaceholderObserver } from "../observers/passive.ts";
import {
  getModuleNameFilter,
  getModuleTypeFilter,
  nameOfType,
  requireModuleName,
  requireModuleType,
} from "./filters.ts";
import type { ModuleType } from "./filters.ts";
import { isDynamicConfig, requireConfig, requireSettings } from "./quantization-config.ts";
import type { QuantizationConfig } from "./quantization-config.ts";
import { Quantizer } from "./quantizer.ts";
import { convertScalarsToAttributes } from "./scalars.ts";
import { propagateAnnotation } from "./sharing-ops.ts";
import { QuantizationSpec } from "./spec.ts";
import { dynamicRows, qatRows, staticRows } from "./xnnpack-patterns.ts";
import type { Scope } from "./xnnpack-patterns.ts";

export interface SymmetricConfigOptions {
  /** One weight scale an output channel instead of one in all. */
  readonly isPerChannel?: boolean;
  readonly isQat?: boolean;
  /** Activation ranges are taken when the model runs; only linear layers are quantized. */
  readonly isDynamic?: boolean;
  readonly actQmin?: number;
  readonly actQmax?: number;
  readonly weightQmin?: number;
  readonly weightQmax?: number;
}

/** The observer or fake-quantize of activations in each of the four ways to use them. */
export function activationObserver(isQat: boolean, isDynamic: boolean): FactoryLike {
  const eps = EPS_2_12;
  if (isQat && isDynamic)
    return FakeQuantize.withArgs({ observer: MovingAverageMinMaxObserver.withArgs({ averagingConstant: 1 }), eps });
  if (isQat) return FusedMovingAvgObsFakeQuantize.withArgs({ eps });
  return isDynamic ? PlaceholderObserver.withArgs({ eps }) : HistogramObserver.withArgs({ eps });
}

function weightObserver(isQat: boolean, isPerChannel: boolean): FactoryLike {
  const eps = EPS_2_12;
  if (isQat)
    return FusedMovingAvgObsFakeQuantize.withArgs({
      eps,
      observer: isPerChannel ? MovingAveragePerChannelMinMaxObserver : MovingAverageMinMaxObserver,
    });
  return isPerChannel ? PerChannelMinMaxObserver.withArgs({ eps }) : MinMaxObserver.withArgs({ eps });
}

/**
 * int8 activations (affine, actQmin..actQmax) and int8 weights (symmetric, weightQmin..weightQmax), scales of at
 * least 2^-12. @throws ArgumentError for ranges outside int8.
 */
export function getSymmetricQuantizationConfig(options: SymmetricConfigOptions = {}): QuantizationConfig {
  const { isPerChannel = false, isQat = false, isDynamic = false } = options;
  const { actQmin = -128, actQmax = 127, weightQmin = -127, weightQmax = 127 } = options;
  const activation = new QuantizationSpec({
    dtype: "int8",
    quantMin: actQmin,
    quantMax: actQmax,
    qscheme: "per_tensor_affine",
    isDynamic,
    observerOrFakeQuantCtr: activationObserver(isQat, isDynamic),
  });
  const weight = new QuantizationSpec({
    dtype: "int8",
    quantMin: weightQmin,
    quantMax: weightQmax,
    qscheme: isPerChannel ? "per_channel_symmetric" : "per_tensor_symmetric",
    chAxis: 0,
    observerOrFakeQuantCtr: weightObserver(isQat, isPerChannel),
  });
  return Object.freeze({
    inputActivation: activation,
    outputActivation: isDynamic ? null : activation,
    weight,
    bias: null,
    isQat,
  });
}

export class XnnpackQuantizer extends Quantizer {
  private globalConfig: QuantizationConfig | null = null;
  private readonly operatorConfigs = new Map<string, QuantizationConfig>();
  private readonly typeConfigs = new Map<ModuleType, QuantizationConfig>();
  private readonly nameConfigs = new Map<string, QuantizationConfig>();

  /** For everything no other setting names. */
  setGlobal(config: QuantizationConfig): this {
    requireConfig("XnnpackQuantizer", config);
    this.globalConfig = config;
    return this;
  }

  /** For calls of one operator (`conv2d`, `add`), unless a module setting names them. */
  setOperatorType(operator: string, config: QuantizationConfig): this {
    this.operatorConfigs.set(operator, config);
    return this;
  }

  /** For modules of a class (or class name) and all inside them. */
  setModuleType(type: ModuleType, config: QuantizationConfig): this {
    this.typeConfigs.set(type, config);
    return this;
  }

  /** For the module at a path and all inside it. @throws ArgumentError for null: leaving a module out is not supported. */
  setModuleName(name: string, config: QuantizationConfig): this {
    if ((config as QuantizationConfig | null) === null) {
      throw new ArgumentError(
        "XnnpackQuantizer.setModuleName",
        { name },
        "a config of null is not supported",
        "Name the modules to quantize instead of setting a global config",
      );
    }
    this.nameConfigs.set(name, config);
    return this;
  }

  /** @throws QuantError without any setting, and for configs of the other flow. */
  override checkSettings(isQat: boolean): void {
    const named = [this.operatorConfigs, this.typeConfigs, this.nameConfigs].flatMap((map) => [...map.values()]);
    requireSettings("XnnpackQuantizer", [this.globalConfig, ...named], isQat);
  }

  override transformForAnnotation(graph: Graph): void {
    convertScalarsToAttributes(graph, ["add", "mul"]);
  }

  /** Module names first, then module types, operator types, and the global setting for the rest. @throws QuantError for names and types the graph has not. */
  override annotate(graph: Graph): void {
    const where = "XnnpackQuantizer";
    const taken: Scope["includes"][] = [];
    for (const [name, config] of this.nameConfigs) {
      requireModuleName(where, graph, name);
      const includes = getModuleNameFilter(name);
      annotateRows(graph, config, { includes, isNamed: true });
      taken.push(includes);
    }
    for (const [type, config] of this.typeConfigs) {
      requireModuleType(where, graph, nameOfType(type));
      const includes = getModuleTypeFilter(graph, type);
      annotateRows(graph, config, { includes, isNamed: true });
      taken.push(includes);
    }
    const isFree: Scope["includes"] = (node) => !taken.some((includes) => includes(node));
    for (const [operator, config] of this.operatorConfigs)
      annotateRows(graph, config, { includes: (node) => node.target === operator && isFree(node), isNamed: true });
    const isLeft: Scope["includes"] = (node) => isFree(node) && !this.operatorConfigs.has(node.target);
    if (this.globalConfig) annotateRows(graph, this.globalConfig, { includes: isLeft, isNamed: false });
    propagateAnnotation(graph);
  }
}

function annotateRows(graph: Graph, config: QuantizationConfig, scope: Scope): void {
  const rows = isDynamicConfig(config) ? dynamicRows : [...(config.isQat ? qatRows : []), ...staticRows];
  for (const row of rows) row(graph, config, scope);
}
