/**
 * What every reference layer adds to its float layer: the parameters of its weight's integers, the weight rounded by
 * them, and their state. One class for all kinds of layers, made by extending whichever float layer is given.
 * Source: torch/ao/nn/quantized/reference/modules/utils.py (ReferenceQuantizedModule).
 */

import type { CellWeights } from "../../ops/rnn.ts";
import type { Parameter, Tensor } from "../../tensor/tensor.ts";
import type { AnyModule, Module } from "../module.ts";
import { loadQParams, observeWeightQParams, qparamsState, quantizeBy, roundBy } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

// TypeScript accepts a class made from another only when its constructor takes any[].
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AbstractClass<T> = abstract new (...args: any[]) => T;

/** A reference layer with one weight. */
export interface RoundedWeight {
  weightQParams: WeightQParams;
  /** The weight rounded to its integers and back. */
  getWeight(): Tensor;
  getQuantizedWeight(): Tensor;
}

/** A reference layer with several weights, whose parameters go by the weight's name. */
export interface RoundedWeights {
  weightQParams: QParamsByName;
}

export type QParamsByName = Readonly<Record<string, WeightQParams>>;

/** The float layer with `weightQParams` for its `weight`; the subclass sets them. */
export function withRoundedWeight<
  T extends Module<never[], unknown> & { weight: Parameter },
  B extends AbstractClass<T>,
>(Base: B): B & AbstractClass<RoundedWeight> {
  abstract class ReferenceLayer extends (Base as AbstractClass<Module<never[], unknown> & { weight: Parameter }>) {
    declare weightQParams: WeightQParams;

    getWeight(): Tensor {
      return roundBy(this.weight, this.weightQParams);
    }

    getQuantizedWeight(): Tensor {
      return quantizeBy(this.weight.detach(), this.weightQParams);
    }

    override extraState(): Record<string, Tensor> {
      return qparamsState("weight", this.weightQParams);
    }

    override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
      this.weightQParams = loadQParams("weight", this.weightQParams, state);
      return Object.keys(this.extraState());
    }
  }
  return ReferenceLayer as unknown as B & AbstractClass<RoundedWeight>;
}

/** The float recurrent layer with `weightQParams` for every weight. */
export function withRoundedWeights<B extends AbstractClass<AnyModule>>(Base: B): B & AbstractClass<RoundedWeights> {
  abstract class ReferenceLayer extends (Base as AbstractClass<AnyModule>) {
    weightQParams: QParamsByName = {};

    override extraState(): Record<string, Tensor> {
      const parts = Object.entries(this.weightQParams).map(([name, one]) => qparamsState(stateKey(name), one));
      return Object.assign({}, ...parts) as Record<string, Tensor>;
    }

    override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
      this.weightQParams = Object.fromEntries(
        Object.entries(this.weightQParams).map(([name, one]) => [name, loadQParams(stateKey(name), one, state)]),
      );
      return Object.keys(this.extraState());
    }
  }
  return ReferenceLayer as unknown as B & AbstractClass<RoundedWeights>;
}

/** Gives `layer` the parameters of a float recurrent layer, and those of their integers. */
export function takeWeights<C extends AnyModule & RoundedWeights>(layer: C, module: AnyModule): C {
  for (const [name, parameter] of module.ownTensors()) (layer as unknown as Record<string, Tensor>)[name] = parameter;
  const weights = module.namedParameters().filter(([name]) => name.toLowerCase().startsWith("weight"));
  layer.weightQParams = Object.fromEntries(
    weights.map(([name, weight]) => [name, observeWeightQParams(module, weight)]),
  );
  return layer.train(module.training);
}

/** A cell's weights, rounded; `names` are those of its input and its hidden weight. */
export function roundCell(
  weights: CellWeights,
  qparams: QParamsByName,
  [ih, hh]: readonly [string, string] = ["weightIh", "weightHh"],
): CellWeights {
  return {
    ...weights,
    weightIh: roundBy(weights.weightIh, qparams[ih]!),
    weightHh: roundBy(weights.weightHh, qparams[hh]!),
  };
}

function stateKey(name: string): string {
  return name === "weightIh" ? "weight_ih" : name === "weightHh" ? "weight_hh" : name;
}
