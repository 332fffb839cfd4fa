/**
 * Quantized batch normalization by running statistics. State: weight, bias, running_mean, running_var,
 * num_batches_tracked, scale, zero_point (both [1]). Source: torch/ao/nn/quantized/modules/batchnorm.py.
 */

import { quantizedBatchNorm } from "../../ops/quantized/norms.ts";
import { reshape } from "../../ops/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import * as float from "../batch-norm.ts";
import type { BatchNorm } from "../batch-norm.ts";
import type { AnyModule } from "../module.ts";
import type { RunningStatsOptions } from "../running-stats.ts";
import { QuantizedOutputModule, requireQuantized, takeTensor } from "./base.ts";
import type { StateEntries } from "./base.ts";
import { applyOutput, floatLayer } from "./observed.ts";
import type { FromFloatOptions } from "./observed.ts";

/** What the quantized batch normalizations share: parameters and statistics by their state keys. */
export abstract class QuantizedBatchNorm extends QuantizedOutputModule {
  readonly numFeatures: number;
  readonly eps: number;
  private readonly parts: Map<string, Tensor>;

  constructor(layer: BatchNorm) {
    super();
    this.numFeatures = layer.numFeatures;
    this.eps = layer.eps;
    this.parts = new Map([...layer.stateDict()].map(([key, value]) => [key, value.copy()]));
  }

  forward(x: Tensor): Tensor {
    return this.run(x, false);
  }

  /** Copies parameters and statistics; what else the layer carries (an observer) is left. */
  takeFrom(layer: BatchNorm): void {
    const state = layer.stateDict();
    for (const key of this.parts.keys()) this.parts.set(key, state.get(key)!.copy());
  }

  protected run(x: Tensor, relu: boolean): Tensor {
    const part = (key: string): Tensor | null => this.parts.get(key) ?? null;
    return quantizedBatchNorm(
      requireQuantized(this, x),
      {
        weight: part("weight"),
        bias: part("bias"),
        runningMean: part("running_mean")!,
        runningVar: part("running_var")!,
      },
      { ...this.output, eps: this.eps, relu },
    );
  }

  override extraState(): StateEntries {
    const output = Object.entries(super.extraState()).map(([key, value]) => [key, reshape(value, [1])] as const);
    return { ...Object.fromEntries(this.parts), ...Object.fromEntries(output) };
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    for (const [key, own] of this.parts) this.parts.set(key, takeTensor(this, state, key, own));
    return [...this.parts.keys(), ...super.loadExtraState(state)];
  }
}

/** A quantized layer with the parameters, statistics and observed output of a float one (fused with ReLU or not). */
export function batchNormFromFloat<B extends QuantizedBatchNorm>(
  target: new (numFeatures: number, options: RunningStatsOptions) => B,
  module: AnyModule,
  options: FromFloatOptions,
): B {
  const layer = floatLayer(module) as BatchNorm;
  const norm = new target(layer.numFeatures, { eps: layer.eps, affine: layer.affine });
  norm.takeFrom(layer);
  return applyOutput(norm, module, options);
}

/** Quantized batch normalization of [N, C, H, W]. */
export class BatchNorm2d extends QuantizedBatchNorm {
  constructor(numFeatures: number, options: RunningStatsOptions = {}) {
    super(new float.BatchNorm2d(numFeatures, options));
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): BatchNorm2d {
    return batchNormFromFloat(this, module, options);
  }
}

/** Quantized batch normalization of [N, C, D, H, W]. */
export class BatchNorm3d extends QuantizedBatchNorm {
  constructor(numFeatures: number, options: RunningStatsOptions = {}) {
    super(new float.BatchNorm3d(numFeatures, options));
  }

  static fromFloat(module: AnyModule, options: FromFloatOptions = {}): BatchNorm3d {
    return batchNormFromFloat(this, module, options);
  }
}
