/**
 * Switches for `module.apply`: they act on fake-quantize modules and leave every other module alone.
 * Source: the end of torch/ao/quantization/fake_quantize.py; range learning, torchao's learnable fake-quantize.
 */

import type { AnyModule } from "../../nn/module.ts";
import { FakeQuantizeBase } from "./base.ts";
import { LearnableFakeQuantize } from "./learnable.ts";

/** Starts rounding: `model.apply(enableFakeQuant)`. */
export function enableFakeQuant(module: AnyModule): void {
  if (module instanceof FakeQuantizeBase) module.enableFakeQuant();
}

/** Stops rounding; tensors pass as they are. */
export function disableFakeQuant(module: AnyModule): void {
  if (module instanceof FakeQuantizeBase) module.disableFakeQuant();
}

/** Starts taking statistics. */
export function enableObserver(module: AnyModule): void {
  if (module instanceof FakeQuantizeBase) module.enableObserver();
}

/** Stops taking statistics: parameters are frozen where they are. */
export function disableObserver(module: AnyModule): void {
  if (module instanceof FakeQuantizeBase) module.disableObserver();
}

/** Lets gradients move scale and zero point, instead of the observer. */
export function enableRangeLearning(module: AnyModule): void {
  if (module instanceof LearnableFakeQuantize) module.enableParamLearning();
}

/** Keeps scale and zero point from being learned. */
export function disableRangeLearning(module: AnyModule): void {
  if (module instanceof LearnableFakeQuantize) module.toggleQParamLearning(false);
}
