/**
 * The observer of a derived spec: it watches nothing and computes its parameters from other observers'.
 */

import { ObserverBase } from "../observers/base.ts";
import type { CalculatedQParams } from "../observers/base.ts";
import { calculateQuantRange } from "../../ops/quantize/numerics.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { DerivedQuantizationSpec } from "./spec.ts";

export class DerivedObserverOrFakeQuantize extends ObserverBase {
  readonly quantMin: number;
  readonly quantMax: number;
  readonly qscheme: QScheme;
  readonly chAxis: number;
  private readonly spec: DerivedQuantizationSpec;
  private readonly sources: readonly ObserverBase[];

  constructor(spec: DerivedQuantizationSpec, sources: readonly ObserverBase[]) {
    super(spec.dtype, false);
    const { dtype, quantMin, quantMax } = spec;
    const range = calculateQuantRange("DerivedQuantizationSpec", { dtype, reduceRange: false, quantMin, quantMax });
    this.quantMin = range.quantMin;
    this.quantMax = range.quantMax;
    this.qscheme = spec.qscheme ?? "per_tensor_affine";
    this.chAxis = spec.chAxis ?? 0;
    this.spec = spec;
    this.sources = sources;
  }

  override observe(_x: Tensor): void {}

  override get hasObserved(): boolean {
    return this.sources.every((source) => source.hasObserved);
  }

  override calculateQParams(): CalculatedQParams {
    return { ...this.spec.deriveQParamsFn(this.sources), observed: this.hasObserved };
  }
}
