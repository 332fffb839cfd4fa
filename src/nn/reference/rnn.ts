/**
 * Reference recurrent layers: float computation with the weights integers will have. Biases stay as they are.
 * Source: torch/ao/nn/quantized/reference/modules/rnn.py.
 */

import type { CellWeights } from "../../ops/rnn.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { AnyModule } from "../module.ts";
import * as float from "../rnn.ts";
import * as cells from "../rnn-cell.ts";
import { loadQParams, observeWeightQParams, qparamsState, roundBy } from "./weight.ts";
import type { WeightQParams } from "./weight.ts";

/** Parameters by the weight's state key. */
type QParamsByName = Readonly<Record<string, WeightQParams>>;

function observeAll(module: AnyModule): QParamsByName {
  const weights = module.namedParameters().filter(([name]) => name.toLowerCase().startsWith("weight"));
  return Object.fromEntries(weights.map(([name, weight]) => [name, observeWeightQParams(module, weight)]));
}

function copyParameters(from: AnyModule, to: AnyModule): void {
  for (const [name, parameter] of from.ownTensors()) (to as unknown as Record<string, Tensor>)[name] = parameter;
}

function rounded(weights: CellWeights, qparams: QParamsByName, ih: string, hh: string): CellWeights {
  return {
    ...weights,
    weightIh: roundBy(weights.weightIh, qparams[ih]!),
    weightHh: roundBy(weights.weightHh, qparams[hh]!),
  };
}

function stateOf(qparams: QParamsByName): Record<string, Tensor> {
  const parts = Object.entries(qparams).map(([name, one]) => qparamsState(stateKey(name), one));
  return Object.assign({}, ...parts) as Record<string, Tensor>;
}

function loaded(qparams: QParamsByName, state: ReadonlyMap<string, Tensor>): QParamsByName {
  return Object.fromEntries(
    Object.entries(qparams).map(([name, one]) => [name, loadQParams(stateKey(name), one, state)]),
  );
}

function stateKey(name: string): string {
  return name === "weightIh" ? "weight_ih" : name === "weightHh" ? "weight_hh" : name;
}

/** Reference LSTM. */
export class LSTM extends float.LSTM {
  weightQParams: QParamsByName = {};

  override layerWeights(layer: number, direction = 0): CellWeights {
    const suffix = `_l${layer}${direction === 1 ? "_reverse" : ""}`;
    return rounded(
      super.layerWeights(layer, direction),
      this.weightQParams,
      `weight_ih${suffix}`,
      `weight_hh${suffix}`,
    );
  }

  override extraState(): Record<string, Tensor> {
    return stateOf(this.weightQParams);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weightQParams = loaded(this.weightQParams, state);
    return Object.keys(this.extraState());
  }

  static fromFloat(module: float.LSTM): LSTM {
    const { numLayers, bias, batchFirst, dropout, bidirectional } = module;
    const lstm = new LSTM(module.inputSize, module.hiddenSize, { numLayers, bias, batchFirst, dropout, bidirectional });
    copyParameters(module, lstm);
    lstm.weightQParams = observeAll(module);
    return lstm.train(module.training);
  }
}

/** Reference LSTM cell. */
export class LSTMCell extends cells.LSTMCell {
  weightQParams: QParamsByName = {};

  override get weights(): CellWeights {
    return rounded(super.weights, this.weightQParams, "weightIh", "weightHh");
  }

  override extraState(): Record<string, Tensor> {
    return stateOf(this.weightQParams);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weightQParams = loaded(this.weightQParams, state);
    return Object.keys(this.extraState());
  }

  static fromFloat(module: cells.LSTMCell): LSTMCell {
    const cell = new LSTMCell(module.inputSize, module.hiddenSize, { bias: module.biasIh !== null });
    copyParameters(module, cell);
    cell.weightQParams = observeAll(module);
    return cell;
  }
}

/** Reference GRU cell. */
export class GRUCell extends cells.GRUCell {
  weightQParams: QParamsByName = {};

  override get weights(): CellWeights {
    return rounded(super.weights, this.weightQParams, "weightIh", "weightHh");
  }

  override extraState(): Record<string, Tensor> {
    return stateOf(this.weightQParams);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weightQParams = loaded(this.weightQParams, state);
    return Object.keys(this.extraState());
  }

  static fromFloat(module: cells.GRUCell): GRUCell {
    const cell = new GRUCell(module.inputSize, module.hiddenSize, { bias: module.biasIh !== null });
    copyParameters(module, cell);
    cell.weightQParams = observeAll(module);
    return cell;
  }
}

/** Reference Elman cell. */
export class RNNCell extends cells.RNNCell {
  weightQParams: QParamsByName = {};

  override get weights(): CellWeights {
    return rounded(super.weights, this.weightQParams, "weightIh", "weightHh");
  }

  override extraState(): Record<string, Tensor> {
    return stateOf(this.weightQParams);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.weightQParams = loaded(this.weightQParams, state);
    return Object.keys(this.extraState());
  }

  static fromFloat(module: cells.RNNCell): RNNCell {
    const options = { bias: module.biasIh !== null, nonlinearity: module.nonlinearity };
    const cell = new RNNCell(module.inputSize, module.hiddenSize, options);
    copyParameters(module, cell);
    cell.weightQParams = observeAll(module);
    return cell;
  }
}
