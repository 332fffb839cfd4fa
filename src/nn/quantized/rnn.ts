/**
 * Quantized LSTM: the quantizable one with its layers converted. Source: torch/ao/nn/quantized/modules/rnn.py.
 */

import type { ConvertTools } from "../quantizable/tools.ts";
import * as quantizable from "../quantizable/lstm.ts";

export class LSTM extends quantizable.LSTM {
  /** From an observed LSTM. */
  static fromObserved(observed: quantizable.LSTM, tools: ConvertTools): LSTM {
    const converted = tools.convert(observed);
    const { numLayers, batchFirst, bidirectional } = observed;
    const lstm = new LSTM(observed.inputSize, observed.hiddenSize, { numLayers, batchFirst, bidirectional });
    lstm.layers = converted.layers;
    return lstm.train(observed.training);
  }
}
