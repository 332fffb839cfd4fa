/**
 * Bias correction (Nagel et al., 2019, section 4.2): subtracts from each layer's bias the mean error that quantization
 * added to its output. Source: torch/ao/quantization/_correct_bias.py.
 */

import { QuantError } from "../../errors.ts";
import { Conv2d } from "../../nn/conv.ts";
import { Linear } from "../../nn/linear.ts";
import type { AnyModule } from "../../nn/module.ts";
import { Conv2d as QuantizedConv2d } from "../../nn/quantized/conv.ts";
import { Linear as QuantizedLinear } from "../../nn/quantized/linear.ts";
import { sub } from "../../ops/arithmetic.ts";
import { mean } from "../../ops/reduce.ts";
import { noGrad } from "../../tensor/context.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { classOf } from "../eager/types.ts";
import type { ModuleClass } from "../eager/types.ts";
import { MeanShadowLogger } from "./loggers.ts";
import { Shadow, prepareModelWithStubs } from "./shadow.ts";

export interface BiasCorrectionOptions {
  /** Classes in the quantized model whose bias is corrected. */
  readonly targetModules?: ReadonlySet<ModuleClass>;
  /** How many batches to estimate the error from; all by default. */
  readonly nevalBatches?: number;
}

/** A batch: the input, or a list that begins with it. */
export type Batch = Tensor | readonly [Tensor, ...unknown[]];

const floatClasses: ReadonlySet<ModuleClass> = new Set<ModuleClass>([Linear, Conv2d]);
const quantizedClasses: ReadonlySet<ModuleClass> = new Set<ModuleClass>([QuantizedLinear, QuantizedConv2d]);

/** The first inputs of a data set, which may be a generator. @throws QuantError when there are none. */
function inputsOf(data: Iterable<Batch>, limit: number): Tensor[] {
  const inputs: Tensor[] = [];
  for (const batch of data) {
    if (inputs.length >= limit) break;
    inputs.push(batch instanceof Tensor ? batch : batch[0]);
  }
  if (inputs.length > 0) return inputs;
  throw new QuantError("biasCorrection", { batches: 0 }, "there is no data to estimate the error from");
}

/** Mean over all axes but the channels of what quantization added. */
function expectedError({ stats }: MeanShadowLogger, path: string): Tensor {
  const { float, quantized } = stats;
  if (!float || !quantized) throw new QuantError("biasCorrection", { path }, "the module was not reached by the data");
  const axes = float.shape.map((_, i) => i).filter((axis) => axis !== 1);
  return mean(sub(quantized, float), axes);
}

function correct(model: AnyModule, shadow: Shadow, path: string, inputs: readonly Tensor[]): void {
  const module = shadow.origModule as AnyModule & { bias: Tensor };
  for (const input of inputs) model.forward(input as never);
  const error = expectedError(shadow.logger as unknown as MeanShadowLogger, path);
  module.bias.assign(sub(module.bias, error).data);
  for (const one of model.modules()) if (one instanceof MeanShadowLogger) one.clear();
}

/**
 * Corrects the biases of a quantized model, in place and in order, so that later layers see corrected inputs.
 * @throws QuantError without data, and for a layer that the data does not reach.
 */
export function biasCorrection(
  floatModel: AnyModule,
  quantizedModel: AnyModule,
  data: Iterable<Batch>,
  { targetModules = quantizedClasses, nevalBatches = Infinity }: BiasCorrectionOptions = {},
): void {
  const inputs = inputsOf(data, nevalBatches);
  prepareModelWithStubs(floatModel, quantizedModel, floatClasses, MeanShadowLogger);
  const shadows = quantizedModel
    .namedModules()
    .filter((entry): entry is [string, Shadow] => entry[1] instanceof Shadow);
  try {
    for (const [path, shadow] of shadows) {
      const { origModule } = shadow;
      const hasBias = (origModule as { bias?: Tensor | null }).bias instanceof Tensor;
      if (!targetModules.has(classOf(origModule)) || !hasBias) continue;
      noGrad(() => correct(quantizedModel, shadow, path, inputs));
    }
  } finally {
    for (const [path, shadow] of shadows) quantizedModel.setSubmodule(path, shadow.origModule);
  }
}
