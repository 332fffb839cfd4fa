/**
 * swapConv2d1x1ToLinear: 1x1 convolutions written as linear layers over the channels, so that `quantizeModel` takes
 * them too. Source: torchao/quantization/quant_api.py.
 */

import { QuantError } from "../../errors.ts";
import { Conv2d } from "../../nn/conv.ts";
import { Linear } from "../../nn/linear.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import { permute, reshape } from "../../ops/shape.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { FilterFn } from "./quantize-model.ts";

/** A module of [..., C] applied to [N, C, H, W]. */
export class PermuteSandwich extends Module {
  mod: Module<[Tensor], Tensor>;

  constructor(mod: Module<[Tensor], Tensor>) {
    super();
    this.mod = mod;
  }

  forward(x: Tensor): Tensor {
    return permute(this.mod.forward(permute(x, [0, 2, 3, 1])), [0, 3, 1, 2]);
  }
}

function readsOnePixel(module: AnyModule): module is Conv2d {
  if (!(module instanceof Conv2d)) return false;
  const { kernelSize, stride, padding, groups } = module;
  const unpadded = padding === "same" || padding === "valid" || padding.every((p) => p === 0);
  return kernelSize.every((k) => k === 1) && stride.every((s) => s === 1) && unpadded && groups === 1;
}

function linearOf(conv: Conv2d): PermuteSandwich {
  const { inChannels, outChannels, weight, bias, training } = conv;
  const layer = new Linear(inChannels, outChannels, { bias: bias !== null });
  layer.weight = new Parameter(reshape(weight.detach(), [outChannels, inChannels]), weight.requiresGrad);
  layer.bias = bias;
  return new PermuteSandwich(layer).train(training);
}

/**
 * Replaces convolutions by linear layers, in place. By default all that read one pixel: 1x1, stride 1, no padding,
 * one group (torchao takes every 1x1 and computes strided and padded ones wrongly).
 * @throws QuantError when the filter accepts any other module, or the root
 */
export function swapConv2d1x1ToLinear(model: AnyModule, filterFn: FilterFn = readsOnePixel): void {
  const chosen = model.namedModules().filter(([path, module]) => filterFn(module, path));
  for (const [path, module] of chosen) {
    if (path === "" || !readsOnePixel(module)) {
      throw new QuantError(
        "swapConv2d1x1ToLinear",
        { path, module: module.constructor.name },
        "only 1x1 convolutions inside a model, of stride 1, without padding and with one group, are linear layers",
        "Narrow the filter",
      );
    }
  }
  for (const [path, module] of chosen) model.setSubmodule(path, linearOf(module as Conv2d));
}
