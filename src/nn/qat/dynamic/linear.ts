/**
 * Linear for training that ends in dynamic quantization: the activation's range is that of each batch.
 * Source: torch/ao/nn/qat/dynamic/modules/linear.py.
 */

import { QuantError } from "../../../errors.ts";
import { activationIsMemoryless } from "../../../quantization/qconfig.ts";
import type { QConfig } from "../../../quantization/qconfig.ts";
import { Linear as QatLinear } from "../linear.ts";
import type { QatLinearOptions } from "../linear.ts";

export class Linear extends QatLinear {
  /** @throws QuantError unless the qconfig's activation forgets each batch (averagingConstant 1). */
  constructor(inFeatures: number, outFeatures: number, options: QatLinearOptions) {
    super(inFeatures, outFeatures, options);
    if (activationIsMemoryless(options.qconfig as QConfig)) return;
    throw new QuantError(
      "qat.dynamic.Linear",
      {},
      "dynamic training needs an activation observer without memory (averagingConstant 1)",
      "Use defaultDynamicQatQConfig",
    );
  }
}
