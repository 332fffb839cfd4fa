/**
 * Reference recurrent layers: float computation with the weights integers will have. Biases stay as they are.
 * Source: torch/ao/nn/quantized/reference/modules/rnn.py.
 */

import type { CellWeights } from "../../ops/rnn.ts";
import * as float from "../rnn.ts";
import * as cells from "../rnn-cell.ts";
import { roundCell, takeWeights, withRoundedWeights } from "./rounded-weight.ts";

/** Names of a layer's two weights. */
function weightNames(layer: number, direction: number): [string, string] {
  const suffix = `_l${layer}${direction === 1 ? "_reverse" : ""}`;
  return [`weight_ih${suffix}`, `weight_hh${suffix}`];
}

/** Reference LSTM. */
export class LSTM extends withRoundedWeights(float.LSTM) {
  override layerWeights(layer: number, direction = 0): CellWeights {
    return roundCell(super.layerWeights(layer, direction), this.weightQParams, weightNames(layer, direction));
  }

  static fromFloat(module: float.LSTM): LSTM {
    const { numLayers, bias, batchFirst, dropout, bidirectional } = module;
    return takeWeights(
      new LSTM(module.inputSize, module.hiddenSize, { numLayers, bias, batchFirst, dropout, bidirectional }),
      module,
    );
  }
}

/** Reference GRU. */
export class GRU extends withRoundedWeights(float.GRU) {
  override layerWeights(layer: number, direction = 0): CellWeights {
    return roundCell(super.layerWeights(layer, direction), this.weightQParams, weightNames(layer, direction));
  }

  static fromFloat(module: float.GRU): GRU {
    const { numLayers, bias, batchFirst, dropout, bidirectional } = module;
    return takeWeights(
      new GRU(module.inputSize, module.hiddenSize, { numLayers, bias, batchFirst, dropout, bidirectional }),
      module,
    );
  }
}

/** Reference LSTM cell. */
export class LSTMCell extends withRoundedWeights(cells.LSTMCell) {
  override get weights(): CellWeights {
    return roundCell(super.weights, this.weightQParams);
  }

  static fromFloat(module: cells.LSTMCell): LSTMCell {
    return takeWeights(new LSTMCell(module.inputSize, module.hiddenSize, { bias: module.biasIh !== null }), module);
  }
}

/** Reference GRU cell. */
export class GRUCell extends withRoundedWeights(cells.GRUCell) {
  override get weights(): CellWeights {
    return roundCell(super.weights, this.weightQParams);
  }

  static fromFloat(module: cells.GRUCell): GRUCell {
    return takeWeights(new GRUCell(module.inputSize, module.hiddenSize, { bias: module.biasIh !== null }), module);
  }
}

/** Reference Elman cell. */
export class RNNCell extends withRoundedWeights(cells.RNNCell) {
  override get weights(): CellWeights {
    return roundCell(super.weights, this.weightQParams);
  }

  static fromFloat(module: cells.RNNCell): RNNCell {
    const options = { bias: module.biasIh !== null, nonlinearity: module.nonlinearity };
    return takeWeights(new RNNCell(module.inputSize, module.hiddenSize, options), module);
  }
}
