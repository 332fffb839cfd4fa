/** Recurrent models of the golden programs. Twins of golden/make/programs_models.py: same names of parameters. */

import type { Tensor } from "../../../src/index.ts";
import * as nn from "../../../src/nn/index.ts";

class LstmNet extends nn.Module {
  lstm = new nn.LSTM(6, 5);
  fc = new nn.Linear(5, 3);
  forward(x: Tensor): Tensor {
    const [y] = this.lstm.forward(x);
    return this.fc.forward(y);
  }
}

class GruNet extends nn.Module {
  gru = new nn.GRU(6, 5);
  fc = new nn.Linear(5, 3);
  forward(x: Tensor): Tensor {
    const [y] = this.gru.forward(x);
    return this.fc.forward(y);
  }
}

class CellsNet extends nn.Module {
  lstm = new nn.LSTMCell(4, 5);
  gru = new nn.GRUCell(5, 5);
  rnn = new nn.RNNCell(5, 3);
  forward(x: Tensor): Tensor {
    const [h, c] = this.lstm.forward(x);
    return this.rnn.forward(this.gru.forward(h, c));
  }
}

export const recurrentModels = {
  "lstm": () => new LstmNet(),
  "gru": () => new GruNet(),
  "cells": () => new CellsNet(),
};
