/**
 * Dynamically quantized recurrent cells: one step, float state, integer products.
 * State: _packed_weight_ih.weight_ih ... see rnn.ts. Source: torch/ao/nn/quantized/dynamic/modules/rnn.py.
 */

import { DEFAULT_ENGINE } from "../../../ops/quantized/engines.ts";
import type { QEngine } from "../../../ops/quantized/engines.ts";
import type { CellWeights } from "../../../ops/rnn.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import * as float from "../../rnn-cell.ts";
import type { CellOptions } from "../../rnn-cell.ts";
import type { RNNNonlinearity } from "../../rnn.ts";
import type { StateEntries } from "../base.ts";
import type { FromFloatOptions } from "../observed.ts";
import type { DynamicDType } from "./linear.ts";
import { cellState, dynamicProduct, emptyCell, quantizeCell, takeCell } from "./rnn.ts";
import type { QuantizedCellWeights } from "./rnn.ts";

export type DynamicCellOptions = CellOptions & { readonly dtype?: DynamicDType };

const PREFIX = "_packed_";

type FloatCell = float.RecurrentCell<never[], unknown>;

/** What the dynamic cells add to the float ones. */
interface DynamicCell {
  engine: QEngine;
  readonly dtype: DynamicDType;
  quantized: QuantizedCellWeights;
}

// TypeScript accepts a class made from another only when its constructor takes any[].
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type CellClass<T> = abstract new (...args: any[]) => T;

/** The float cell with quantized weights in place of its parameters; the last constructor argument names their dtype. */
function withDynamicWeights<B extends CellClass<FloatCell>>(Base: B): B & CellClass<DynamicCell> {
  abstract class Dynamic extends (Base as CellClass<FloatCell>) {
    engine: QEngine = DEFAULT_ENGINE;
    readonly dtype: DynamicDType;
    quantized: QuantizedCellWeights;

    constructor(inputSize: number, hiddenSize: number, options: DynamicCellOptions = {}) {
      super(inputSize, hiddenSize, options);
      this.dtype = options.dtype ?? "qint8";
      this.quantized = emptyCell(this.weights, this.dtype);
      for (const [name] of this.ownTensors()) delete (this as unknown as Record<string, unknown>)[name];
    }

    override get weights(): CellWeights {
      return this.quantized ? { ...this.quantized, product: dynamicProduct(this.dtype, this.engine) } : super.weights;
    }

    override extraState(): StateEntries {
      return cellState(PREFIX, this.quantized);
    }

    override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
      this.quantized = takeCell(this, state, PREFIX, this.quantized);
      return Object.keys(this.extraState());
    }
  }
  return Dynamic as unknown as B & CellClass<DynamicCell>;
}

function fromFloat<M extends FloatCell, C extends FloatCell & DynamicCell>(
  module: M,
  { engine }: FromFloatOptions,
  make: (dtype: DynamicDType) => C,
): C {
  const { weights, dtype } = quantizeCell(module, module.weights);
  const cell = make(dtype);
  cell.quantized = weights;
  if (engine) cell.engine = engine;
  return cell.train(module.training);
}

/** One step of a dynamically quantized LSTM. */
export class LSTMCell extends withDynamicWeights(float.LSTMCell) {
  constructor(inputSize: number, hiddenSize: number, options: DynamicCellOptions = {}) {
    super(inputSize, hiddenSize, options);
  }

  static fromFloat(module: float.LSTMCell, options: FromFloatOptions = {}): LSTMCell {
    return fromFloat(module, options, (dtype) => new LSTMCell(module.inputSize, module.hiddenSize, { dtype }));
  }
}

/** One step of a dynamically quantized GRU. */
export class GRUCell extends withDynamicWeights(float.GRUCell) {
  constructor(inputSize: number, hiddenSize: number, options: DynamicCellOptions = {}) {
    super(inputSize, hiddenSize, options);
  }

  static fromFloat(module: float.GRUCell, options: FromFloatOptions = {}): GRUCell {
    return fromFloat(module, options, (dtype) => new GRUCell(module.inputSize, module.hiddenSize, { dtype }));
  }
}

/** One step of a dynamically quantized Elman network. */
export class RNNCell extends withDynamicWeights(float.RNNCell) {
  constructor(
    inputSize: number,
    hiddenSize: number,
    options: DynamicCellOptions & { readonly nonlinearity?: RNNNonlinearity } = {},
  ) {
    super(inputSize, hiddenSize, options);
  }

  static fromFloat(module: float.RNNCell, options: FromFloatOptions = {}): RNNCell {
    const { inputSize, hiddenSize, nonlinearity } = module;
    return fromFloat(module, options, (dtype) => new RNNCell(inputSize, hiddenSize, { dtype, nonlinearity }));
  }
}
