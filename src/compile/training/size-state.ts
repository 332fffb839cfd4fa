/**
 * Per-channel observers have as many entries as the first batch has channels. A graph's tensors keep their shapes, so
 * before the first capture these buffers are given their final shape, still saying that nothing was seen.
 *
 * Shapes are found out by running a copy of the model once.
 */

import type { AnyModule } from "../../nn/module.ts";
import { RangeObserver } from "../../quantization/observers/min-max.ts";
import { FakeQuantize } from "../../quantization/fake-quantize/base.ts";
import { defaultGenerator, noGrad, withTracer } from "../../tensor/context.ts";
import { full, ones, zeros } from "../../tensor/create.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** Whether a module waits for data to know its number of channels. */
function isUnsized(module: AnyModule): boolean {
  return module instanceof RangeObserver && module.minVal.shape[0] === 0;
}

/** Runs a copy of the model on the inputs; its modules, in the order of the model's. The random numbers go on as if nothing was. */
function ranCopy(model: AnyModule, inputs: readonly Tensor[]): readonly AnyModule[] {
  const generator = defaultGenerator();
  const state = generator.state();
  const copy = model.clone();
  withTracer(null, () =>
    noGrad(() => (copy as unknown as { forward(...inputs: readonly Tensor[]): unknown }).forward(...inputs)),
  );
  generator.load(state);
  return copy.modules();
}

/** Gives the buffers of per-channel observers and fake-quantizes their final shapes. */
export function sizeState(model: AnyModule, inputs: readonly Tensor[]): void {
  const modules = model.modules();
  if (!modules.some(isUnsized)) return;
  const ran = ranCopy(model, inputs);
  modules.forEach((module, i) => {
    const twin = ran[i];
    if (module instanceof RangeObserver && twin instanceof RangeObserver) {
      const { shape } = twin.minVal;
      if (sameShape(shape, module.minVal.shape)) return;
      module.minVal = full(shape, Infinity);
      module.maxVal = full(shape, -Infinity);
    } else if (module instanceof FakeQuantize && twin instanceof FakeQuantize) {
      const { shape } = twin.scale;
      if (sameShape(shape, module.scale.shape)) return;
      module.scale = ones(shape);
      module.zeroPoint = zeros(shape, { dtype: module.zeroPoint.dtype });
    }
  });
}
