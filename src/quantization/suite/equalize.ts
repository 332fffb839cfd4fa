/**
 * Cross-layer equalization (Nagel et al., 2019, section 4.1): scales adjacent layers so that the output channels of
 * the first use their range as the input channels of the second do. The float model's function stays the same when
 * what lies between is positively homogeneous (ReLU, pooling). Source: torch/ao/quantization/_equalize.py.
 */

import { QuantError, ShapeError } from "../../errors.ts";
import { Conv1d, Conv2d } from "../../nn/conv.ts";
import { ConvReLU1d, ConvReLU2d, LinearReLU } from "../../nn/intrinsic/fused.ts";
import { Linear } from "../../nn/linear.ts";
import type { AnyModule } from "../../nn/module.ts";
import { add, div, mul, sub } from "../../ops/arithmetic.ts";
import { norm } from "../../ops/reduce-moments.ts";
import { amax, amin } from "../../ops/reduce-extremes.ts";
import { reshape } from "../../ops/shape.ts";
import { reciprocal, sqrt } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { nearNames } from "../eager/names.ts";
import { classOf } from "../eager/types.ts";
import type { ModuleClass } from "../eager/types.ts";

type Layer = Linear | Conv1d | Conv2d;

const layers: ReadonlySet<ModuleClass> = new Set<ModuleClass>([Conv2d, Linear, Conv1d]);
const fused: ReadonlySet<ModuleClass> = new Set<ModuleClass>([ConvReLU2d, LinearReLU, ConvReLU1d]);

/** Sweeps after which weights that still move are taken for weights that never settle. */
const MAX_SWEEPS = 10_000;

/** @throws QuantError for a class that cannot be equalized. */
function layerOf(module: AnyModule): Layer {
  if (layers.has(classOf(module))) return module as unknown as Layer;
  if (fused.has(classOf(module))) return module.getSubmodule("0") as unknown as Layer;
  throw new QuantError(
    "equalize",
    { class: module.constructor.name },
    "only Linear, Conv1d, Conv2d and their fusions with ReLU can be equalized",
  );
}

/** max - min of every slice along `axis`. */
function channelRange(weight: Tensor, axis: number): Tensor {
  const others = weight.shape.map((_, i) => i).filter((i) => i !== axis);
  return sub(amax(weight, others), amin(weight, others));
}

function along(factors: Tensor, axis: number, rank: number): Tensor {
  return reshape(
    factors,
    Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1)),
  );
}

function replaced(parameter: Parameter, values: Tensor): Parameter {
  return new Parameter(values.detach(), parameter.requiresGrad);
}

/**
 * Equalizes two adjacent layers: k = sqrt(range1 / range2), W1 / k, b1 / k, W2 k.
 * @throws QuantError for other classes; ShapeError when channels do not match.
 */
export function crossLayerEqualization(module1: AnyModule, module2: AnyModule, outputAxis = 0, inputAxis = 1): void {
  const [first, second] = [layerOf(module1), layerOf(module2)];
  const [channels, expected] = [first.weight.shape[outputAxis], second.weight.shape[inputAxis]];
  if (channels !== expected) {
    throw new ShapeError(
      "crossLayerEqualization",
      { first: first.weight.shape, second: second.weight.shape },
      `the first layer's ${channels} output channels are not the second's ${expected} input channels`,
    );
  }
  noGrad(() => {
    const ranges = channelRange(second.weight, inputAxis);
    const factors = sqrt(div(channelRange(first.weight, outputAxis), add(ranges, 1e-9)));
    const inverse = reciprocal(factors);
    first.weight = replaced(first.weight, mul(first.weight, along(inverse, outputAxis, first.weight.shape.length)));
    if (first.bias) first.bias = replaced(first.bias, mul(first.bias, inverse));
    second.weight = replaced(second.weight, mul(second.weight, along(factors, inputAxis, second.weight.shape.length)));
  });
}

export interface EqualizeOptions {
  /** Sweeps end when the weights' changes add up to a norm below this. */
  readonly threshold?: number;
  /** Change the model itself (default, as in PyTorch) instead of a copy. */
  readonly inplace?: boolean;
}

/** A group of adjacent layers, as modules of the model or their paths. */
export type EqualizeGroup = readonly (AnyModule | string)[];

function pathOf(model: AnyModule, item: AnyModule | string): string {
  const known = model.namedModules();
  const found = known.find(([path, module]) => (typeof item === "string" ? path === item : module === item));
  if (found) return found[0];
  const name = typeof item === "string" ? item : item.constructor.name;
  const near = nearNames(
    name,
    known.map(([path]) => path),
  );
  throw new QuantError("equalize", { name, near }, "there is no such module in the model");
}

function pairsOf(model: AnyModule, groups: readonly EqualizeGroup[]): [string, string][] {
  return groups.flatMap((group) => {
    if (group.length < 2) {
      throw new QuantError("equalize", { group: group.length }, "a group must have at least two modules");
    }
    const paths = group.map((item) => pathOf(model, item));
    return paths.slice(1).map((path, i): [string, string] => [paths[i]!, path]);
  });
}

/**
 * Equalizes groups of adjacent layers, again and again until the weights settle.
 * @throws QuantError for unknown names, other classes, and weights that never settle; ShapeError
 */
export function equalize<M extends AnyModule>(
  model: M,
  groups: readonly EqualizeGroup[],
  { threshold = 1e-4, inplace = true }: EqualizeOptions = {},
): M {
  const pairs = pairsOf(model, groups);
  const target = inplace ? model : model.clone();
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    const before = new Map<string, Tensor>();
    for (const pair of pairs) {
      const [first, second] = pair.map((path) => target.getSubmodule(path)) as [AnyModule, AnyModule];
      before.set(pair[0], layerOf(first).weight).set(pair[1], layerOf(second).weight);
      crossLayerEqualization(first, second);
    }
    const changes = [...before].map(([path, weight]) =>
      noGrad(() => norm(sub(layerOf(target.getSubmodule(path)).weight, weight)).item()),
    );
    if (changes.reduce((a, b) => a + b, 0) < threshold) return target;
  }
  throw new QuantError("equalize", { threshold, sweeps: MAX_SWEEPS }, "the weights do not settle; raise the threshold");
}
