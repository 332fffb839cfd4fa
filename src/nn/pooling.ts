/**
 * Pooling layers; options and window rules are PyTorch's.
 */

import type { AvgPoolOptions, OutputSize } from "../ops/avg-pool.ts";
import {
  adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d, avgPool1d, avgPool2d, avgPool3d,
} from "../ops/avg-pool.ts"; // prettier-ignore
import type { PerAxis } from "../ops/conv-geometry.ts";
import type { MaxPoolOptions } from "../ops/max-pool.ts";
import {
  adaptiveMaxPool1d, adaptiveMaxPool2d, adaptiveMaxPool3d, maxPool1d, maxPool2d, maxPool3d,
} from "../ops/max-pool.ts"; // prettier-ignore
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

type Pool<O> = (x: Tensor, kernelSize: PerAxis, options: O) => Tensor;

/** A pool with windows of a given size. For the positions of maxima call `maxPool2dWithIndices` and its relatives. */
abstract class WindowPool<O extends object> extends Module {
  readonly kernelSize: PerAxis;
  readonly options: O;

  constructor(kernelSize: PerAxis, options: O) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  protected abstract get pool(): Pool<O>;

  forward(x: Tensor): Tensor {
    return this.pool(x, this.kernelSize, this.options);
  }
}

/** A pool with an output of a given size. */
abstract class AdaptivePool extends Module {
  readonly outputSize: OutputSize;

  constructor(outputSize: OutputSize) {
    super();
    this.outputSize = outputSize;
  }

  protected abstract get pool(): (x: Tensor, outputSize: OutputSize) => Tensor;

  forward(x: Tensor): Tensor {
    return this.pool(x, this.outputSize);
  }
}

/** Maxima over windows of [N, C, L]. */
export class MaxPool1d extends WindowPool<MaxPoolOptions> {
  constructor(kernelSize: PerAxis, options: MaxPoolOptions = {}) {
    super(kernelSize, options);
  }

  protected get pool(): Pool<MaxPoolOptions> {
    return maxPool1d;
  }
}

/** Maxima over windows of [N, C, H, W]. */
export class MaxPool2d extends WindowPool<MaxPoolOptions> {
  constructor(kernelSize: PerAxis, options: MaxPoolOptions = {}) {
    super(kernelSize, options);
  }

  protected get pool(): Pool<MaxPoolOptions> {
    return maxPool2d;
  }
}

/** Maxima over windows of [N, C, D, H, W]. */
export class MaxPool3d extends WindowPool<MaxPoolOptions> {
  constructor(kernelSize: PerAxis, options: MaxPoolOptions = {}) {
    super(kernelSize, options);
  }

  protected get pool(): Pool<MaxPoolOptions> {
    return maxPool3d;
  }
}

/** Averages over windows of [N, C, L]. */
export class AvgPool1d extends WindowPool<AvgPoolOptions> {
  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super(kernelSize, options);
  }

  protected get pool(): Pool<AvgPoolOptions> {
    return avgPool1d;
  }
}

/** Averages over windows of [N, C, H, W]. */
export class AvgPool2d extends WindowPool<AvgPoolOptions> {
  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super(kernelSize, options);
  }

  protected get pool(): Pool<AvgPoolOptions> {
    return avgPool2d;
  }
}

/** Averages over windows of [N, C, D, H, W]. */
export class AvgPool3d extends WindowPool<AvgPoolOptions> {
  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super(kernelSize, options);
  }

  protected get pool(): Pool<AvgPoolOptions> {
    return avgPool3d;
  }
}

/** Maxima over as many windows of [N, C, L] as the output size says. */
export class AdaptiveMaxPool1d extends AdaptivePool {
  protected get pool(): typeof adaptiveMaxPool1d {
    return adaptiveMaxPool1d;
  }
}

/** Maxima over as many windows of [N, C, H, W] as the output size says. */
export class AdaptiveMaxPool2d extends AdaptivePool {
  protected get pool(): typeof adaptiveMaxPool2d {
    return adaptiveMaxPool2d;
  }
}

/** Maxima over as many windows of [N, C, D, H, W] as the output size says. */
export class AdaptiveMaxPool3d extends AdaptivePool {
  protected get pool(): typeof adaptiveMaxPool3d {
    return adaptiveMaxPool3d;
  }
}

/** Averages over as many windows of [N, C, L] as the output size says. */
export class AdaptiveAvgPool1d extends AdaptivePool {
  protected get pool(): typeof adaptiveAvgPool1d {
    return adaptiveAvgPool1d;
  }
}

/** Averages over as many windows of [N, C, H, W] as the output size says. */
export class AdaptiveAvgPool2d extends AdaptivePool {
  protected get pool(): typeof adaptiveAvgPool2d {
    return adaptiveAvgPool2d;
  }
}

/** Averages over as many windows of [N, C, D, H, W] as the output size says. */
export class AdaptiveAvgPool3d extends AdaptivePool {
  protected get pool(): typeof adaptiveAvgPool3d {
    return adaptiveAvgPool3d;
  }
}
