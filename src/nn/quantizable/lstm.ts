/**
 * An LSTM taken apart, so that every sum and product in it can be observed and quantized.
 *
 * Two linear layers make the gates of one step; FloatFunctionals add and multiply; sigmoid and tanh have fixed output
 * parameters. The cell state is quantized too. Dropout is ignored. Source: torch/ao/nn/quantizable/modules/rnn.py.
 */

import { cat, stack } from "../../ops/cat.ts";
import { quantizePerTensor } from "../../ops/quantize/native.ts";
import { reshape, squeeze, transpose } from "../../ops/shape.ts";
import { chunk, flip, unbind } from "../../ops/slicing.ts";
import { tanh } from "../../ops/unary.ts";
import { zeros } from "../../tensor/create.ts";
import type { QuantizedDType } from "../../tensor/dtype.ts";
import { Parameter } from "../../tensor/tensor.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { CellWeights } from "../../ops/rnn.ts";
import { Sigmoid, Tanh } from "../activation.ts";
import { ModuleList } from "../container.ts";
import { FloatFunctional } from "../float-functional.ts";
import type { FunctionalOperations } from "../float-functional.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";
import type { AnyModule } from "../module.ts";
import type * as float from "../rnn.ts";
import type { LSTMState, RecurrentOptions } from "../rnn.ts";
import type * as floatCell from "../rnn-cell.ts";
import type { PrepareTools } from "./tools.ts";

type Functional = AnyModule & FunctionalOperations;

/** One step: forward(x [N, input], [h, c]?) -> [h, c]. */
export class LSTMCell extends Module<[x: Tensor, state?: LSTMState | null], LSTMState> {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    inputGate: "input_gate",
    forgetGate: "forget_gate",
    cellGate: "cell_gate",
    outputGate: "output_gate",
    fgateCx: "fgate_cx",
    igateCgate: "igate_cgate",
    fgateCxIgateCgate: "fgate_cx_igate_cgate",
    ogateCy: "ogate_cy",
  };

  readonly inputSize: number;
  readonly hiddenSize: number;
  igates: Module;
  hgates: Module;
  gates: Functional = new FloatFunctional();
  inputGate: Module = new Sigmoid();
  forgetGate: Module = new Sigmoid();
  cellGate: Module = new Tanh();
  outputGate: Module = new Sigmoid();
  fgateCx: Functional = new FloatFunctional();
  igateCgate: Functional = new FloatFunctional();
  fgateCxIgateCgate: Functional = new FloatFunctional();
  ogateCy: Functional = new FloatFunctional();

  constructor(inputSize: number, hiddenSize: number, { bias = true }: { readonly bias?: boolean } = {}) {
    super();
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.igates = new Linear(inputSize, 4 * hiddenSize, { bias });
    this.hgates = new Linear(hiddenSize, 4 * hiddenSize, { bias });
  }

  forward(x: Tensor, state: LSTMState | null = null): LSTMState {
    const [hx, cx] = state ?? this.initialState(x);
    const gates = this.gates.add(this.igates.forward(x), this.hgates.forward(hx));
    const [input, forget, cell, output] = chunk(gates, 4, 1);
    const i = this.inputGate.forward(input!);
    const f = this.forgetGate.forward(forget!);
    const g = this.cellGate.forward(cell!);
    const o = this.outputGate.forward(output!);
    const c = this.fgateCxIgateCgate.add(this.fgateCx.mul(f, cx), this.igateCgate.mul(i, g));
    return [this.ogateCy.mul(o, tanh(c)), c];
  }

  private initialState(x: Tensor): LSTMState {
    const zero = zeroState([x.shape[0]!, this.hiddenSize], x);
    return [zero, zero];
  }

  /** A cell with the given weights. */
  static fromWeights({ weightIh, weightHh, biasIh, biasHh }: CellWeights): LSTMCell {
    const cell = new LSTMCell(weightIh.shape[1]!, weightHh.shape[1]!, { bias: biasIh !== null });
    const put = (linear: Linear, weight: Tensor, bias: Tensor | null): void => {
      linear.weight = asParameter(weight);
      linear.bias = bias && asParameter(bias);
    };
    put(cell.igates as Linear, weightIh, biasIh);
    put(cell.hgates as Linear, weightHh, biasHh);
    return cell;
  }

  /** From a float cell; its observers are inserted by whoever prepares the model around it. */
  static fromFloat(module: floatCell.LSTMCell): LSTMCell {
    const cell = LSTMCell.fromWeights(module.weights);
    cell.qconfig = module.qconfig;
    return cell;
  }
}

function asParameter(x: Tensor): Parameter {
  return x instanceof Parameter ? x : new Parameter(x);
}

/** Zeros, quantized with scale 1 when x is quantized. */
function zeroState(shape: readonly number[], x: Tensor): Tensor {
  const zero = zeros(shape);
  return x.isQuantized ? quantizePerTensor(zero, 1, 0, x.dtype as QuantizedDType) : zero;
}

/** One direction over time: x [L, N, input] -> [output [L, N, hidden], state]. */
export class LSTMSingleLayer extends Module<[x: Tensor, state?: LSTMState | null], readonly [Tensor, LSTMState]> {
  cell: LSTMCell;

  constructor(cell: LSTMCell) {
    super();
    this.cell = cell;
  }

  forward(x: Tensor, state: LSTMState | null = null): readonly [Tensor, LSTMState] {
    let current = state;
    const outputs = unbind(x, 0).map((step) => {
      current = this.cell.forward(step, current);
      return current[0];
    });
    return [stack(outputs, 0), current!];
  }
}

/** One layer in one or both directions; states of both directions are stacked. */
export class LSTMLayer extends Module<[x: Tensor, state: LSTMState], readonly [Tensor, LSTMState]> {
  static override readonly stateNames: Readonly<Record<string, string>> = { layerFw: "layer_fw", layerBw: "layer_bw" };
  layerFw: LSTMSingleLayer;
  layerBw: LSTMSingleLayer | null;

  constructor(forward: LSTMCell, backward: LSTMCell | null) {
    super();
    this.layerFw = new LSTMSingleLayer(forward);
    this.layerBw = backward && new LSTMSingleLayer(backward);
  }

  forward(x: Tensor, [h, c]: LSTMState): readonly [Tensor, LSTMState] {
    if (!this.layerBw) return this.layerFw.forward(x, [h, c]);
    const [hs, cs] = [unbind(h, 0), unbind(c, 0)];
    const [ahead, stateAhead] = this.layerFw.forward(x, [hs[0]!, cs[0]!]);
    const [reversed, stateBack] = this.layerBw.forward(flip(x, 0), [hs[1]!, cs[1]!]);
    const output = cat([ahead, flip(reversed, 0)], -1);
    return [output, [stack([stateAhead[0], stateBack[0]], 0), stack([stateAhead[1], stateBack[1]], 0)]];
  }
}

/** Observable LSTM; signature and shapes of the float layer. */
export class LSTM extends Module<[x: Tensor, state?: LSTMState | null], readonly [Tensor, LSTMState]> {
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly batchFirst: boolean;
  readonly bidirectional: boolean;
  layers: ModuleList;

  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super();
    const { numLayers = 1, bias = true, batchFirst = false, bidirectional = false } = options;
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.numLayers = numLayers;
    this.batchFirst = batchFirst;
    this.bidirectional = bidirectional;
    const width = hiddenSize * (bidirectional ? 2 : 1);
    const cell = (layer: number): LSTMCell => new LSTMCell(layer === 0 ? inputSize : width, hiddenSize, { bias });
    this.layers = new ModuleList(
      Array.from({ length: numLayers }, (_, layer) => new LSTMLayer(cell(layer), bidirectional ? cell(layer) : null)),
    );
  }

  forward(x: Tensor, state: LSTMState | null = null): readonly [Tensor, LSTMState] {
    let output = this.batchFirst ? transpose(x, 0, 1) : x;
    const initial = this.initialStates(output, state);
    const last: LSTMState[] = [];
    [...this.layers].forEach((layer, i) => {
      const [next, after] = (layer as unknown as LSTMLayer).forward(output, initial[i]!);
      output = next;
      last.push(after);
    });
    const gather = (which: 0 | 1): Tensor => {
      const stacked = stack(
        last.map((one) => one[which]),
        0,
      );
      return reshape(stacked, [-1, stacked.size(-2), stacked.size(-1)]);
    };
    return [this.batchFirst ? transpose(output, 0, 1) : output, [gather(0), gather(1)]];
  }

  /** One state a layer: [N, hidden], or [2, N, hidden] for both directions. */
  private initialStates(x: Tensor, state: LSTMState | null): LSTMState[] {
    const directions = this.bidirectional ? 2 : 1;
    const batch = x.shape[1]!;
    if (!state) {
      const shape = this.bidirectional ? [2, batch, this.hiddenSize] : [batch, this.hiddenSize];
      const zero = zeroState(shape, x);
      return Array.from({ length: this.numLayers }, (): LSTMState => [zero, zero]);
    }
    const parts = state.map((one) => unbind(reshape(one, [this.numLayers, directions, batch, this.hiddenSize]), 0));
    const drop = (one: Tensor): Tensor => (directions === 1 ? squeeze(one, 0) : one);
    return parts[0]!.map((h, i): LSTMState => [drop(h), drop(parts[1]![i]!)]);
  }

  /** An observed LSTM with the weights of a float one; its children are prepared. */
  static fromFloat(module: float.LSTM, tools: PrepareTools): LSTM {
    const { numLayers, bias, batchFirst, bidirectional } = module;
    const observed = new LSTM(module.inputSize, module.hiddenSize, { numLayers, bias, batchFirst, bidirectional });
    observed.qconfig = module.qconfig;
    for (let layer = 0; layer < numLayers; layer++) {
      const cell = (direction: number): LSTMCell => LSTMCell.fromWeights(module.layerWeights(layer, direction));
      observed.layers.setChild(String(layer), new LSTMLayer(cell(0), bidirectional ? cell(1) : null));
    }
    observed.path = module.path;
    observed.train(module.training);
    return module.training ? tools.prepareQat(observed) : tools.prepare(observed);
  }
}
