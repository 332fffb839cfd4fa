/**
 * Recurrent cells and their unrolling over time, written with other operators.
 *
 * Gates are stacked along the first axis of the weights in PyTorch's order: LSTM input, forget, cell, output;
 * GRU reset, update, new. The products with the inputs of all time steps are one matrix product; only those
 * with the hidden state follow time.
 */

import { relu } from "./activation-linear.ts";
import { sigmoid } from "./activation-smooth.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { stack } from "./cat.ts";
import { linear } from "./linear.ts";
import { chunk, unbind } from "./slicing.ts";
import { tanh } from "./unary.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Weights of one layer in one direction. */
export interface CellWeights {
  /** [gates * hidden, input] */
  readonly weightIh: Tensor;
  /** [gates * hidden, hidden or projection] */
  readonly weightHh: Tensor;
  readonly biasIh: Tensor | null;
  readonly biasHh: Tensor | null;
  /** [projection, hidden]: LSTM with projections only. */
  readonly weightHr?: Tensor | null;
  /** How inputs and hidden states meet the weights, where it is not `linear` (dynamic quantization). */
  readonly product?: (x: Tensor, weight: Tensor, bias: Tensor | null) => Tensor;
}

function inputShare(x: Tensor, { weightIh, biasIh, product = linear }: CellWeights): Tensor {
  return product(x, weightIh, biasIh);
}

/** Hidden state, and for an LSTM also the cell state. */
export type CellState = readonly [h: Tensor, c: Tensor | null];

/** The next state from the input's share of the gates, x W_ih^T + b_ih. */
export type CellStep = (projected: Tensor, state: CellState, weights: CellWeights) => CellState;

function hiddenShare([h]: CellState, { weightHh, biasHh, product = linear }: CellWeights): Tensor {
  return product(h, weightHh, biasHh);
}

// c' = f c + i g, h' = o tanh(c'), then projected when there is a projection
export const lstmStep: CellStep = (projected, state, weights) => {
  const [i, f, g, o] = chunk(add(projected, hiddenShare(state, weights)), 4, -1);
  const c = add(mul(sigmoid(f!), state[1]!), mul(sigmoid(i!), tanh(g!)));
  const h = mul(sigmoid(o!), tanh(c));
  return [weights.weightHr ? linear(h, weights.weightHr) : h, c];
};

// n = tanh(n_x + r n_h), h' = (1 - z) n + z h
export const gruStep: CellStep = (projected, state, weights) => {
  const [rx, zx, nx] = chunk(projected, 3, -1);
  const [rh, zh, nh] = chunk(hiddenShare(state, weights), 3, -1);
  const r = sigmoid(add(rx!, rh!));
  const z = sigmoid(add(zx!, zh!));
  const n = tanh(add(nx!, mul(r, nh!)));
  return [add(n, mul(z, sub(state[0], n))), null];
};

export const rnnTanhStep: CellStep = (projected, state, weights) => [
  tanh(add(projected, hiddenShare(state, weights))),
  null,
];

export const rnnReluStep: CellStep = (projected, state, weights) => [
  relu(add(projected, hiddenShare(state, weights))),
  null,
];

/** One step of a cell: x [N, input] (or [input]) and a state to the next state. */
export function runCell(step: CellStep, x: Tensor, state: CellState, weights: CellWeights): CellState {
  return step(inputShare(x, weights), state, weights);
}

/** All steps of one layer in one direction over x [L, N, input]: outputs [L, N, hidden] in input order, and the last state. */
export function runLayer(
  step: CellStep,
  x: Tensor,
  initial: CellState,
  weights: CellWeights,
  reverse: boolean,
): { readonly output: Tensor; readonly state: CellState } {
  const projected = unbind(inputShare(x, weights), 0);
  const outputs = new Array<Tensor>(projected.length);
  let state = initial;
  for (let i = 0; i < projected.length; i++) {
    const at = reverse ? projected.length - 1 - i : i;
    state = step(projected[at]!, state, weights);
    outputs[at] = state[0];
  }
  return { output: stack(outputs, 0), state };
}
