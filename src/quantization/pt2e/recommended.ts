/**
 * The configuration this library recommends for 8 bits after training: for X86Quantizer, which rounds a sum only once,
 * with ranges of least squared error; then `correctBias`. examples/resnet20-pt2e.ts shows what each part brings.
 */

import { EPS_2_12 } from "../../ops/quantize/numerics.ts";
import { LeastSquaresObserver, PerChannelLeastSquaresObserver } from "../observers/least-squares.ts";
import type { QuantizationConfig } from "./quantization-config.ts";
import { QuantizationSpec } from "./spec.ts";

/** uint8 activations, affine, per tensor; int8 weights in -127..127, symmetric, one scale an output channel. */
export function getRecommendedQuantizationConfig(): QuantizationConfig {
  const activation = new QuantizationSpec({
    dtype: "uint8",
    quantMin: 0,
    quantMax: 255,
    qscheme: "per_tensor_affine",
    observerOrFakeQuantCtr: LeastSquaresObserver.withArgs({ eps: EPS_2_12 }),
  });
  const weight = new QuantizationSpec({
    dtype: "int8",
    quantMin: -127,
    quantMax: 127,
    qscheme: "per_channel_symmetric",
    chAxis: 0,
    observerOrFakeQuantCtr: PerChannelLeastSquaresObserver.withArgs({ eps: EPS_2_12 }),
  });
  return Object.freeze({ inputActivation: activation, outputActivation: activation, weight, bias: null, isQat: false });
}
