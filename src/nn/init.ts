/**
 * Initial values of parameters, as in torch.nn.init: each function overwrites a tensor and returns it.
 *
 * The distributions are PyTorch's; the random numbers are the given (or the default) generator's.
 * Glorot and Bengio, 2010 (xavier); He et al., 2015 (kaiming).
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { defaultGenerator } from "../tensor/context.ts";
import type { Generator } from "../tensor/random.ts";
import { numel } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface InitOptions {
  readonly generator?: Generator;
}

function fill<T extends Tensor>(tensor: T, draw: () => number): T {
  tensor.assign(Float64Array.from({ length: tensor.numel }, draw));
  return tensor;
}

/** Uniform between `low` and `high`. */
export function uniform<T extends Tensor>(
  tensor: T,
  low = 0,
  high = 1,
  { generator = defaultGenerator() }: InitOptions = {},
): T {
  return fill(tensor, () => low + (high - low) * generator.uniform());
}

/** Normal with the given mean and standard deviation. */
export function normal<T extends Tensor>(
  tensor: T,
  mean = 0,
  std = 1,
  { generator = defaultGenerator() }: InitOptions = {},
): T {
  return fill(tensor, () => mean + std * generator.normal());
}

/** Normal, redrawn until inside `low`..`high`. */
export function truncNormal<T extends Tensor>(
  tensor: T,
  mean = 0,
  std = 1,
  low = -2,
  high = 2,
  { generator = defaultGenerator() }: InitOptions = {},
): T {
  if (!(low < high) || high < mean - 8 * std || low > mean + 8 * std) {
    throw new ArgumentError(
      "truncNormal",
      { mean, std, low, high },
      "the interval must lie within eight deviations of the mean",
    );
  }
  return fill(tensor, () => {
    for (;;) {
      const v = mean + std * generator.normal();
      if (v >= low && v <= high) return v;
    }
  });
}

export function constant<T extends Tensor>(tensor: T, value: number): T {
  return fill(tensor, () => value);
}

export function zeros<T extends Tensor>(tensor: T): T {
  return constant(tensor, 0);
}

export function ones<T extends Tensor>(tensor: T): T {
  return constant(tensor, 1);
}

/** Inputs and outputs one weight of a layer [out, in, ...kernel] is connected to. @throws ShapeError for fewer than two axes */
export function fans(tensor: Tensor): { fanIn: number; fanOut: number } {
  if (tensor.rank < 2) throw new ShapeError("fans", { shape: tensor.shape }, "fans need a tensor of at least two axes");
  const receptive = numel(tensor.shape.slice(2));
  return { fanIn: tensor.shape[1]! * receptive, fanOut: tensor.shape[0]! * receptive };
}

export type Nonlinearity = "linear" | "conv" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

/** Factor by which a nonlinearity shrinks deviations; `param` is leakyRelu's negative slope. */
export function calculateGain(nonlinearity: Nonlinearity, param = 0.01): number {
  if (nonlinearity === "tanh") return 5 / 3;
  if (nonlinearity === "relu") return Math.SQRT2;
  if (nonlinearity === "leakyRelu") return Math.sqrt(2 / (1 + param * param));
  return nonlinearity === "selu" ? 3 / 4 : 1;
}

/** Uniform with variance 2 gain^2 / (fanIn + fanOut). */
export function xavierUniform<T extends Tensor>(tensor: T, gain = 1, options: InitOptions = {}): T {
  const { fanIn, fanOut } = fans(tensor);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform(tensor, -bound, bound, options);
}

/** Normal with variance 2 gain^2 / (fanIn + fanOut). */
export function xavierNormal<T extends Tensor>(tensor: T, gain = 1, options: InitOptions = {}): T {
  const { fanIn, fanOut } = fans(tensor);
  return normal(tensor, 0, gain * Math.sqrt(2 / (fanIn + fanOut)), options);
}

export interface KaimingOptions extends InitOptions {
  /** Negative slope of the leaky relu that follows. */
  readonly a?: number;
  readonly mode?: "fanIn" | "fanOut";
  readonly nonlinearity?: Nonlinearity;
}

function kaimingStd(tensor: Tensor, { a = 0, mode = "fanIn", nonlinearity = "leakyRelu" }: KaimingOptions): number {
  return calculateGain(nonlinearity, a) / Math.sqrt(fans(tensor)[mode]);
}

/** Uniform with variance gain^2 / fan. */
export function kaimingUniform<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  const bound = Math.sqrt(3) * kaimingStd(tensor, options);
  return uniform(tensor, -bound, bound, options);
}

/** Normal with variance gain^2 / fan. */
export function kaimingNormal<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  return normal(tensor, 0, kaimingStd(tensor, options), options);
}
