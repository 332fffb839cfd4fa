/**
 * Single recurrent steps: LSTMCell, GRUCell, RNNCell. State-dict keys are PyTorch's (weight_ih, bias_hh, ...).
 */

import { ShapeError } from "../errors.ts";
import { gruStep, lstmStep, rnnReluStep, rnnTanhStep, runCell } from "../ops/rnn.ts";
import type { CellState, CellStep, CellWeights } from "../ops/rnn.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";
import { uniformParameter } from "./parameters.ts";
import type { LSTMState, RNNNonlinearity } from "./rnn.ts";
import { zeroState } from "./zero-state.ts";

export interface CellOptions {
  readonly bias?: boolean;
}

/** What the three cells share. */
export abstract class RecurrentCell<In extends readonly unknown[], Out> extends Module<In, Out> {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    weightIh: "weight_ih",
    weightHh: "weight_hh",
    biasIh: "bias_ih",
    biasHh: "bias_hh",
  };

  readonly inputSize: number;
  readonly hiddenSize: number;
  weightIh: Parameter;
  weightHh: Parameter;
  biasIh: Parameter | null;
  biasHh: Parameter | null;

  constructor(gates: number, inputSize: number, hiddenSize: number, { bias = true }: CellOptions) {
    super();
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    const bound = 1 / Math.sqrt(hiddenSize);
    const rows = gates * hiddenSize;
    this.weightIh = uniformParameter([rows, inputSize], bound);
    this.weightHh = uniformParameter([rows, hiddenSize], bound);
    this.biasIh = bias ? uniformParameter([rows], bound) : null;
    this.biasHh = bias ? uniformParameter([rows], bound) : null;
  }

  get weights(): CellWeights {
    const { weightIh, weightHh, biasIh, biasHh } = this;
    return { weightIh, weightHh, biasIh, biasHh };
  }

  protected step(cell: CellStep, x: Tensor, h: Tensor | null, c: Tensor | null): CellState {
    if ((x.rank !== 1 && x.rank !== 2) || x.size(-1) !== this.inputSize) {
      throw new ShapeError(
        this.constructor.name,
        { x: x.shape, inputSize: this.inputSize },
        "x must be [N, inputSize] or [inputSize]",
      );
    }
    const zero = (): Tensor => zeroState(x, this.hiddenSize);
    return runCell(cell, x, [h ?? zero(), c ?? zero()], this.weights);
  }
}

/** One step of an LSTM: forward(x [N, input], [h, c]?) -> [h, c]. */
export class LSTMCell extends RecurrentCell<[x: Tensor, state?: LSTMState | null], LSTMState> {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(4, inputSize, hiddenSize, options);
  }

  /** @throws ShapeError */
  forward(x: Tensor, state: LSTMState | null = null): LSTMState {
    const [h, c] = this.step(lstmStep, x, state?.[0] ?? null, state?.[1] ?? null);
    return [h, c!];
  }
}

/** One step of a GRU: forward(x [N, input], h?) -> h. */
export class GRUCell extends RecurrentCell<[x: Tensor, h?: Tensor | null], Tensor> {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(3, inputSize, hiddenSize, options);
  }

  /** @throws ShapeError */
  forward(x: Tensor, h: Tensor | null = null): Tensor {
    return this.step(gruStep, x, h, null)[0];
  }
}

/** One step of an Elman network: forward(x [N, input], h?) -> h. */
export class RNNCell extends RecurrentCell<[x: Tensor, h?: Tensor | null], Tensor> {
  readonly nonlinearity: RNNNonlinearity;

  constructor(
    inputSize: number,
    hiddenSize: number,
    options: CellOptions & { readonly nonlinearity?: RNNNonlinearity } = {},
  ) {
    super(1, inputSize, hiddenSize, options);
    this.nonlinearity = options.nonlinearity ?? "tanh";
  }

  /** @throws ShapeError */
  forward(x: Tensor, h: Tensor | null = null): Tensor {
    return this.step(this.nonlinearity === "relu" ? rnnReluStep : rnnTanhStep, x, h, null)[0];
  }
}
