/**
 * LSTM, GRU and RNN layers: stacked, bidirectional, with dropout between layers and, for the LSTM, projections.
 *
 * Parameters are named as in PyTorch (weight_ih_l0, bias_hh_l1_reverse, ...), so state dicts are exchangeable.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { cat, stack } from "../ops/cat.ts";
import { dropout } from "../ops/dropout.ts";
import { gruStep, lstmStep, rnnReluStep, rnnTanhStep, runLayer } from "../ops/rnn.ts";
import type { CellState, CellStep, CellWeights } from "../ops/rnn.ts";
import { squeeze, transpose, unsqueeze } from "../ops/shape.ts";
import { select, unbind } from "../ops/slicing.ts";
import { sameShape } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { Parameter } from "../tensor/tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";
import { uniformParameter } from "./parameters.ts";
import { zeroState } from "./zero-state.ts";

export interface RecurrentOptions {
  readonly numLayers?: number;
  readonly bias?: boolean;
  /** x and the output are [N, L, ...] instead of [L, N, ...]. */
  readonly batchFirst?: boolean;
  /** Dropout on the output of every layer but the last, while training. */
  readonly dropout?: number;
  readonly bidirectional?: boolean;
}

interface Kind {
  readonly step: CellStep;
  readonly hasCell: boolean;
}

/** What LSTM, GRU and RNN share. */
export abstract class RecurrentLayer<In extends readonly unknown[], Out> extends Module<In, Out> {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly projSize: number;
  readonly numLayers: number;
  readonly bias: boolean;
  readonly batchFirst: boolean;
  readonly dropout: number;
  readonly bidirectional: boolean;

  constructor(gates: number, inputSize: number, hiddenSize: number, options: RecurrentOptions, projSize = 0) {
    super();
    const { numLayers = 1, bias = true, batchFirst = false, dropout: p = 0, bidirectional = false } = options;
    if (!(p >= 0 && p <= 1))
      throw new ArgumentError(this.constructor.name, { dropout: p }, "the probability must be in 0..1");
    if (projSize < 0 || projSize >= hiddenSize) {
      throw new ArgumentError(
        this.constructor.name,
        { projSize, hiddenSize },
        "projSize must be smaller than hiddenSize",
      );
    }
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.projSize = projSize;
    this.numLayers = numLayers;
    this.bias = bias;
    this.batchFirst = batchFirst;
    this.dropout = p;
    this.bidirectional = bidirectional;
    for (let layer = 0; layer < numLayers; layer++) {
      for (let direction = 0; direction < this.directions; direction++) this.createWeights(gates, layer, direction);
    }
  }

  protected abstract get kind(): Kind;

  get directions(): number {
    return this.bidirectional ? 2 : 1;
  }

  /** Size of the output of one direction. */
  get outputSize(): number {
    return this.projSize || this.hiddenSize;
  }

  /** The parameters of one layer in one direction (1 is the reverse one). */
  layerWeights(layer: number, direction = 0): CellWeights {
    const own = this as unknown as Readonly<Record<string, Parameter | undefined>>;
    const suffix = suffixOf(layer, direction);
    return {
      weightIh: own[`weight_ih${suffix}`]!,
      weightHh: own[`weight_hh${suffix}`]!,
      biasIh: own[`bias_ih${suffix}`] ?? null,
      biasHh: own[`bias_hh${suffix}`] ?? null,
      weightHr: own[`weight_hr${suffix}`] ?? null,
    };
  }

  private createWeights(gates: number, layer: number, direction: number): void {
    const suffix = suffixOf(layer, direction);
    const rows = gates * this.hiddenSize;
    const bound = 1 / Math.sqrt(this.hiddenSize);
    const put = (name: string, shape: Shape): void => {
      (this as unknown as Record<string, Parameter>)[name + suffix] = uniformParameter(shape, bound);
    };
    put("weight_ih", [rows, layer === 0 ? this.inputSize : this.outputSize * this.directions]);
    put("weight_hh", [rows, this.outputSize]);
    if (this.bias) put("bias_ih", [rows]);
    if (this.bias) put("bias_hh", [rows]);
    if (this.projSize > 0) put("weight_hr", [this.projSize, this.hiddenSize]);
  }

  /** Runs all layers on x [L, N, input]; states are lists of [N, size], one a layer and direction. */
  private runStack(x: Tensor, initial: readonly CellState[]): { output: Tensor; states: CellState[] } {
    const states: CellState[] = [];
    let output = x;
    for (let layer = 0; layer < this.numLayers; layer++) {
      if (layer > 0 && this.dropout > 0 && this.training) output = dropout(output, { p: this.dropout });
      const directions = Array.from({ length: this.directions }, (_, direction) => {
        const weights = this.layerWeights(layer, direction);
        return runLayer(this.kind.step, output, initial[states.length + direction]!, weights, direction === 1);
      });
      states.push(...directions.map(({ state }) => state));
      output =
        directions.length === 1
          ? directions[0]!.output
          : cat(
              directions.map((one) => one.output),
              -1,
            );
    }
    return { output, states };
  }

  private initialStates(x: Tensor, h: Tensor | null, c: Tensor | null): CellState[] {
    const count = this.numLayers * this.directions;
    const batch = x.shape[1]!;
    const split = (given: Tensor | null, size: number, name: string): readonly Tensor[] => {
      const shape = [count, batch, size];
      if (!given) return Array.from({ length: count }, () => zeroState(select(x, 0, 0), size));
      if (sameShape(given.shape, shape)) return unbind(given, 0);
      throw new ShapeError(
        this.constructor.name,
        { [name]: given.shape, expected: shape },
        "the initial state must fit layers, batch and size",
      );
    };
    const hs = split(h, this.outputSize, "h0");
    const cs = this.kind.hasCell ? split(c, this.hiddenSize, "c0") : null;
    return hs.map((one, i): CellState => [one, cs ? cs[i]! : null]);
  }

  /** The whole layer on x [L, N, input], [N, L, input] or [L, input], and states [layers * directions, N, size]. */
  protected run(x: Tensor, h: Tensor | null, c: Tensor | null): { output: Tensor; h: Tensor; c: Tensor | null } {
    if ((x.rank !== 2 && x.rank !== 3) || x.size(-1) !== this.inputSize) {
      throw new ShapeError(
        this.constructor.name,
        { x: x.shape, inputSize: this.inputSize },
        "x must have two or three axes, the last of size inputSize",
      );
    }
    if (x.shape[this.batchFirst && x.rank === 3 ? 1 : 0] === 0) {
      throw new ShapeError(this.constructor.name, { x: x.shape }, "the sequence must have at least one step");
    }
    const single = x.rank === 2;
    const batchAxis = single ? 1 : this.batchFirst ? 0 : 1;
    const inTime = single ? unsqueeze(x, 1) : batchAxis === 0 ? transpose(x, 0, 1) : x;
    const lift = (state: Tensor | null): Tensor | null => (single && state ? unsqueeze(state, 1) : state);
    const { output, states } = this.runStack(inTime, this.initialStates(inTime, lift(h), lift(c)));
    const lower = (parts: readonly Tensor[]): Tensor => (single ? squeeze(stack(parts, 0), 1) : stack(parts, 0));
    return {
      output: single ? squeeze(output, 1) : batchAxis === 0 ? transpose(output, 0, 1) : output,
      h: lower(states.map(([state]) => state)),
      c: this.kind.hasCell ? lower(states.map(([, state]) => state!)) : null,
    };
  }
}

function suffixOf(layer: number, direction: number): string {
  return `_l${layer}${direction === 1 ? "_reverse" : ""}`;
}

export interface LSTMOptions extends RecurrentOptions {
  /** Size the hidden state is projected to; 0 for none (Sak, Senior and Beaufays, 2014). */
  readonly projSize?: number;
}

export type LSTMState = readonly [h: Tensor, c: Tensor];

/**
 * Long short-term memory (Hochreiter and Schmidhuber, 1997).
 * forward(x, [h0, c0]?) -> [output, [h, c]], with x [L, N, input], output [L, N, directions * hidden] and states
 * [layers * directions, N, hidden].
 */
export class LSTM extends RecurrentLayer<[x: Tensor, state?: LSTMState | null], readonly [Tensor, LSTMState]> {
  constructor(inputSize: number, hiddenSize: number, options: LSTMOptions = {}) {
    super(4, inputSize, hiddenSize, options, options.projSize ?? 0);
  }

  protected get kind(): Kind {
    return { step: lstmStep, hasCell: true };
  }

  /** @throws ShapeError */
  forward(x: Tensor, state: LSTMState | null = null): readonly [Tensor, LSTMState] {
    const { output, h, c } = this.run(x, state?.[0] ?? null, state?.[1] ?? null);
    return [output, [h, c!]];
  }
}

/** Gated recurrent unit (Cho et al., 2014). forward(x, h0?) -> [output, h]; shapes as LSTM. */
export class GRU extends RecurrentLayer<[x: Tensor, h?: Tensor | null], readonly [Tensor, Tensor]> {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(3, inputSize, hiddenSize, options);
  }

  protected get kind(): Kind {
    return { step: gruStep, hasCell: false };
  }

  /** @throws ShapeError */
  forward(x: Tensor, state: Tensor | null = null): readonly [Tensor, Tensor] {
    const { output, h } = this.run(x, state, null);
    return [output, h];
  }
}

export type RNNNonlinearity = "tanh" | "relu";

export interface RNNOptions extends RecurrentOptions {
  readonly nonlinearity?: RNNNonlinearity;
}

/** Elman network (1990). forward(x, h0?) -> [output, h]; shapes as LSTM. */
export class RNN extends RecurrentLayer<[x: Tensor, h?: Tensor | null], readonly [Tensor, Tensor]> {
  readonly nonlinearity: RNNNonlinearity;

  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    super(1, inputSize, hiddenSize, options);
    this.nonlinearity = options.nonlinearity ?? "tanh";
  }

  protected get kind(): Kind {
    return { step: this.nonlinearity === "relu" ? rnnReluStep : rnnTanhStep, hasCell: false };
  }

  /** @throws ShapeError */
  forward(x: Tensor, state: Tensor | null = null): readonly [Tensor, Tensor] {
    const { output, h } = this.run(x, state, null);
    return [output, h];
  }
}
