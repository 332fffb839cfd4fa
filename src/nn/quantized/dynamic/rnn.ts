/**
 * Dynamically quantized LSTM and GRU: float sequences and states, integer products.
 *
 * The unrolling is the float layer's. The input is quantized by the range of the whole sequence, the hidden state by
 * its own range at every step. State: `_all_weight_values.i.param.` and weight_ih, weight_hh, bias_ih, bias_hh, with i
 * counting layers and directions. Source: torch/ao/nn/quantized/dynamic/modules/rnn.py, ATen/native/RNN.cpp.
 */

import { QuantError } from "../../../errors.ts";
import { linearDynamic, linearDynamicFp16 } from "../../../ops/quantized/dynamic.ts";
import type { QEngine } from "../../../ops/quantized/engines.ts";
import { DEFAULT_ENGINE } from "../../../ops/quantized/engines.ts";
import type { CellWeights } from "../../../ops/rnn.ts";
import { cast } from "../../../ops/unary.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import * as float from "../../rnn.ts";
import type { RecurrentLayer, RecurrentOptions } from "../../rnn.ts";
import { describe, takeTensor } from "../base.ts";
import type { StateEntries } from "../base.ts";
import { makeWeightObserver, quantizeWeight } from "../observed.ts";
import type { FromFloatOptions } from "../observed.ts";
import { emptyWeight } from "../linear.ts";
import type { AnyModule } from "../../module.ts";
import type { DynamicDType } from "./linear.ts";

/** Weights of one layer and direction; biases always exist. */
export interface QuantizedCellWeights {
  readonly weightIh: Tensor;
  readonly weightHh: Tensor;
  readonly biasIh: Tensor;
  readonly biasHh: Tensor;
}

/** The product of dynamic layers for a dtype and engine. */
export function dynamicProduct(dtype: DynamicDType, engine: QEngine): NonNullable<CellWeights["product"]> {
  if (dtype === "float16") return (x, weight, bias) => linearDynamicFp16(x, weight, bias);
  return (x, weight, bias) => linearDynamic(x, weight, bias, { engine });
}

/**
 * Quantizes the weights of one cell, each by a fresh observer of the qconfig.
 * @throws QuantError without biases, or for a dtype other than qint8 and float16.
 */
export function quantizeCell(
  module: AnyModule,
  weights: CellWeights,
): { weights: QuantizedCellWeights; dtype: DynamicDType } {
  const { biasIh, biasHh } = weights;
  if (!biasIh || !biasHh)
    throw new QuantError(describe(module), { bias: false }, "dynamic recurrent layers need biases");
  if (weights.weightHr) throw new QuantError(describe(module), { projSize: true }, "dynamic LSTM knows no projections");
  const { dtype } = makeWeightObserver(module);
  if (dtype !== "qint8" && dtype !== "float16") {
    throw new QuantError(describe(module), { dtype }, "dynamic layers take qint8 and float16 weights");
  }
  const quantize = (weight: Tensor): Tensor => {
    if (dtype === "float16") return cast(cast(weight.detach(), "float16"), "float32");
    const observer = makeWeightObserver(module);
    observer.forward(weight.detach());
    return quantizeWeight(module, weight, observer);
  };
  return {
    dtype,
    weights: {
      weightIh: quantize(weights.weightIh),
      weightHh: quantize(weights.weightHh),
      biasIh: biasIh.copy(),
      biasHh: biasHh.copy(),
    },
  };
}

const parts = { weightIh: "weight_ih", weightHh: "weight_hh", biasIh: "bias_ih", biasHh: "bias_hh" } as const;

/** State entries of one cell's weights below a prefix. */
export function cellState(prefix: string, weights: QuantizedCellWeights): StateEntries {
  return Object.fromEntries(
    Object.entries(parts).map(([name, key]) => [prefix + key, weights[name as keyof typeof parts]]),
  );
}

/** Takes one cell's weights back. @throws ShapeError, DtypeError */
export function takeCell(
  module: AnyModule,
  state: ReadonlyMap<string, Tensor>,
  prefix: string,
  own: QuantizedCellWeights,
): QuantizedCellWeights {
  const take = (name: keyof typeof parts): Tensor => takeTensor(module, state, prefix + parts[name], own[name]);
  return { weightIh: take("weightIh"), weightHh: take("weightHh"), biasIh: take("biasIh"), biasHh: take("biasHh") };
}

/** A layer's weights before they are loaded: zeros of the float layer's shapes. */
export function emptyCell(
  { weightIh, weightHh, biasIh, biasHh }: CellWeights,
  dtype: DynamicDType,
): QuantizedCellWeights {
  const empty = (weight: Tensor): Tensor =>
    dtype === "qint8" ? emptyWeight(weight.shape) : weight.copy().assign(new Float32Array(weight.numel));
  return { weightIh: empty(weightIh), weightHh: empty(weightHh), biasIh: biasIh!.copy(), biasHh: biasHh!.copy() };
}

function prefixOf(i: number): string {
  return `_all_weight_values.${i}.param.`;
}

/** Takes the float parameters out of a recurrent layer; returns empty quantized cells in their place. */
function replaceParameters(layer: RecurrentLayer<never[], unknown>, dtype: DynamicDType): QuantizedCellWeights[] {
  if (!layer.bias) throw new QuantError(describe(layer), { bias: false }, "dynamic recurrent layers need biases");
  const cells = cellsOf(layer).map((weights) => emptyCell(weights, dtype));
  for (const [name] of layer.ownTensors()) delete (layer as unknown as Record<string, unknown>)[name];
  return cells;
}

/** The weights of every layer and direction, in PyTorch's order. */
function cellsOf(
  layer: Pick<RecurrentLayer<never[], unknown>, "numLayers" | "directions" | "layerWeights">,
): CellWeights[] {
  const directions = Array.from({ length: layer.directions }, (_, i) => i);
  return Array.from({ length: layer.numLayers }, (_, i) => i).flatMap((i) =>
    directions.map((d) => layer.layerWeights(i, d)),
  );
}

function stateOf(cells: readonly QuantizedCellWeights[]): StateEntries {
  return Object.assign({}, ...cells.map((cell, i) => cellState(prefixOf(i), cell))) as StateEntries;
}

function loadCells(
  module: AnyModule,
  state: ReadonlyMap<string, Tensor>,
  cells: readonly QuantizedCellWeights[],
): QuantizedCellWeights[] {
  return cells.map((cell, i) => takeCell(module, state, prefixOf(i), cell));
}

function recurrentOptions({ numLayers, bias, batchFirst, dropout, bidirectional }: RecurrentOptions): RecurrentOptions {
  return { numLayers, bias, batchFirst, dropout, bidirectional };
}

export type DynamicRecurrentOptions = RecurrentOptions & { readonly dtype?: DynamicDType };

type FloatLayer = RecurrentLayer<never[], unknown>;

/** What the dynamic layers add to the float ones. */
interface DynamicLayer {
  engine: QEngine;
  readonly dtype: DynamicDType;
  /** Layers and directions in PyTorch's order. */
  cells: QuantizedCellWeights[];
}

// TypeScript accepts a class made from another only when its constructor takes any[].
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type LayerClass<T> = abstract new (...args: any[]) => T;

/** The float layer with quantized cells in place of its parameters. */
function withDynamicCells<B extends LayerClass<FloatLayer>>(Base: B): B & LayerClass<DynamicLayer> {
  abstract class Dynamic extends (Base as LayerClass<FloatLayer>) {
    engine: QEngine = DEFAULT_ENGINE;
    readonly dtype: DynamicDType;
    cells: QuantizedCellWeights[];

    constructor(inputSize: number, hiddenSize: number, options: DynamicRecurrentOptions = {}) {
      super(inputSize, hiddenSize, options);
      this.dtype = options.dtype ?? "qint8";
      this.cells = replaceParameters(this, this.dtype);
    }

    override layerWeights(layer: number, direction = 0): CellWeights {
      const cell = this.cells?.[layer * this.directions + direction];
      return cell
        ? { ...cell, product: dynamicProduct(this.dtype, this.engine) }
        : super.layerWeights(layer, direction);
    }

    override extraState(): StateEntries {
      return stateOf(this.cells);
    }

    override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
      this.cells = loadCells(this, state, this.cells);
      return Object.keys(this.extraState());
    }
  }
  return Dynamic as unknown as B & LayerClass<DynamicLayer>;
}

function fromFloat<C extends FloatLayer & DynamicLayer>(
  target: new (inputSize: number, hiddenSize: number, options: DynamicRecurrentOptions) => C,
  module: FloatLayer,
  { engine }: FromFloatOptions,
): C {
  const cells = cellsOf(module).map((weights) => quantizeCell(module, weights));
  const { inputSize, hiddenSize } = module;
  const layer = new target(inputSize, hiddenSize, { ...recurrentOptions(module), dtype: cells[0]!.dtype });
  layer.cells = cells.map(({ weights }) => weights);
  if (engine) layer.engine = engine;
  return layer.train(module.training);
}

/** Dynamically quantized LSTM; signature and shapes of the float layer. */
export class LSTM extends withDynamicCells(float.LSTM) {
  /** @throws QuantError without biases. */
  constructor(inputSize: number, hiddenSize: number, options: DynamicRecurrentOptions = {}) {
    super(inputSize, hiddenSize, options);
  }

  static fromFloat(module: float.LSTM, options: FromFloatOptions = {}): LSTM {
    return fromFloat(LSTM, module, options);
  }
}

/** Dynamically quantized GRU; signature and shapes of the float layer. */
export class GRU extends withDynamicCells(float.GRU) {
  /** @throws QuantError without biases. */
  constructor(inputSize: number, hiddenSize: number, options: DynamicRecurrentOptions = {}) {
    super(inputSize, hiddenSize, options);
  }

  static fromFloat(module: float.GRU, options: FromFloatOptions = {}): GRU {
    return fromFloat(GRU, module, options);
  }
}
