/** A sequence classifier: an LSTM and a linear layer on its last output. */

import { select } from "fewbit";
import type { Tensor } from "fewbit";
import { LSTM, Linear, Module } from "fewbit/nn";

/** Sequences [N, L, features] to logits [N, classes]. */
export class SequenceClassifier extends Module {
  lstm: LSTM;
  classifier: Linear;

  constructor(features: number, hidden: number, classes: number) {
    super();
    this.lstm = new LSTM(features, hidden, { batchFirst: true });
    this.classifier = new Linear(hidden, classes);
  }

  forward(x: Tensor): Tensor {
    const [y] = this.lstm.forward(x);
    return this.classifier.forward(select(y, 1, -1));
  }
}
