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

/** Takes the float parameters out of a cell; returns empty quantized ones. */
function replaceParameters(cell: float.RecurrentCell<never[], unknown>, dtype: DynamicDType): QuantizedCellWeights {
  const empty = emptyCell(cell.weights, dtype);
  for (const [name] of cell.ownTensors()) delete (cell as unknown as Record<string, unknown>)[name];
  return empty;
}

/** One step of a dynamically quantized LSTM. */
export class LSTMCell extends float.LSTMCell {
  engine: QEngine = DEFAULT_ENGINE;
  readonly dtype: DynamicDType;
  private quantized: QuantizedCellWeights;

  constructor(inputSize: number, hiddenSize: number, options: DynamicCellOptions = {}) {
    super(inputSize, hiddenSize, options);
    this.dtype = options.dtype ?? "qint8";
    this.quantized = replaceParameters(this, this.dtype);
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

  static fromFloat(module: float.LSTMCell, options: FromFloatOptions = {}): LSTMCell {
    const { weights, dtype } = quantizeCell(module, module.weights);
    const cell = new LSTMCell(module.inputSize, module.hiddenSize, { dtype });
    cell.quantized = weights;
    if (options.engine) cell.engine = options.engine;
    return cell.train(module.training);
  }
}

/** One step of a dynamically quantized GRU. */
export class GRUCell extends float.GRUCell {
  engine: QEngine = DEFAULT_ENGINE;
  readonly dtype: DynamicDType;
  private quantized: QuantizedCellWeights;

  constructor(inputSize: number, hiddenSize: number, options: DynamicCellOptions = {}) {
    super(inputSize, hiddenSize, options);
    this.dtype = options.dtype ?? "qint8";
    this.quantized = replaceParameters(this, this.dtype);
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

  static fromFloat(module: float.GRUCell, options: FromFloatOptions = {}): GRUCell {
    const { weights, dtype } = quantizeCell(module, module.weights);
    const cell = new GRUCell(module.inputSize, module.hiddenSize, { dtype });
    cell.quantized = weights;
    if (options.engine) cell.engine = options.engine;
    return cell.train(module.training);
  }
}

/** One step of a dynamically quantized Elman network. */
export class RNNCell extends float.RNNCell {
  engine: QEngine = DEFAULT_ENGINE;
  readonly dtype: DynamicDType;
  private quantized: QuantizedCellWeights;

  constructor(
    inputSize: number,
    hiddenSize: number,
    options: DynamicCellOptions & { readonly nonlinearity?: RNNNonlinearity } = {},
  ) {
    super(inputSize, hiddenSize, options);
    this.dtype = options.dtype ?? "qint8";
    this.quantized = replaceParameters(this, this.dtype);
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

  static fromFloat(module: float.RNNCell, options: FromFloatOptions = {}): RNNCell {
    const { weights, dtype } = quantizeCell(module, module.weights);
    const { nonlinearity } = module;
    const cell = new RNNCell(module.inputSize, module.hiddenSize, { dtype, nonlinearity });
    cell.quantized = weights;
    if (options.engine) cell.engine = options.engine;
    return cell.train(module.training);
  }
}
