/**
 * What a caller may ask of `quantizeOnnx`: how ranges are found, which integers are stored, for which target, for
 * which operators, and who runs the float model during calibration.
 */

import type { Engine } from "../../engine/engine.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { Node } from "../../graph/graph.ts";
import type { ObserverBase, ObserverState } from "../../quantization/observers/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ImportOptions } from "../import.ts";
import type { QuantizePass } from "./passes.ts";
import type { Target, TargetName } from "./targets.ts";

/** A model: its path (Node only), the bytes of the file, or a graph (imported or captured). */
export type OnnxSource = string | Uint8Array | GraphModule;

/** One batch: a tensor for each input of the model, by the input's name. */
export type NamedInputs = Readonly<Record<string, Tensor>>;

/** A batch; models with one input may be given the tensor alone. */
export type CalibrationBatch = NamedInputs | Tensor;

/**
 * Batches to calibrate with. A model of a fixed batch size is run on parts of that size. A function is told how many batches a resumed calibration has seen already and starts
 * behind them; a plain iterable always starts at the first, and the known ones are passed over.
 */
export type CalibrationData =
  | AsyncIterable<CalibrationBatch>
  | Iterable<CalibrationBatch>
  | ((skip: number) => AsyncIterable<CalibrationBatch> | Iterable<CalibrationBatch>);

export type QuantizeMethod =
  /** Activations and weights as integers, ranges of activations from calibration. */
  | "static"
  /** Weights as integers, ranges of activations taken at every run; no data needed. */
  | "dynamic"
  /** Only weights as integers, arithmetic in float; no data needed. */
  | "weightOnly";

/** How the range of an activation is found. */
export type ObserverKind =
  /** Smallest and largest value seen. */
  | "minMax"
  /** Moving average of each batch's smallest and largest value, PyTorch's constant 0.01. */
  | "movingAverage"
  /** PyTorch's HistogramObserver: least L2 error of the histogram's mass. */
  | "histogramL2"
  /** Cuts off the outermost `1 - percentile` of the values. */
  | "percentile"
  /** Least Kullback-Leibler divergence between the histogram and its quantized form (TensorRT). */
  | "entropy"
  /** Least squared error, values that are exactly zero not charged. */
  | "mse";

export interface ActivationOptions {
  readonly bits: 8 | 16;
  /** Zero point in the middle of the range. */
  readonly symmetric: boolean;
  readonly signed: boolean;
}

export interface WeightOptions {
  readonly bits: 8 | 4;
  /** A scale each output channel; false: one for the whole tensor. */
  readonly perChannel: boolean;
  readonly symmetric: boolean;
  /** Input channels that share a scale, for weight-only quantization; null: all of them. */
  readonly groupSize: number | null;
}

/** What names an operator: its ONNX type (`Conv`), its name or its output's name, a glob (`/encoder/*`), or a pattern. */
export type Selector = string | RegExp | ((node: Node) => boolean);

/** The phases follow one another; while `calibrating` the counts grow. */
export interface QuantizeProgress {
  readonly phase: "importing" | "preparing" | "calibrating" | "converting";
  readonly batches: number;
  readonly samples: number;
}

/** What calibration has seen: continues to the same bits. `encodeCalibration` makes bytes of it. */
export interface CalibrationState {
  /** Of the model, its settings and its observers: a state of another calibration is refused. */
  readonly fingerprint: string;
  readonly batches: number;
  readonly samples: number;
  readonly observers: ReadonlyMap<string, ObserverState>;
}

/** A value of the float model that observers want to see. */
export interface Tap {
  /** Name of the value: an output of the tapped model under this name. */
  readonly name: string;
  /** Takes a batch into the statistics: what the tapped model gave for this tap, the value or its range. */
  observe(output: Tensor): void;
  /** Gives back the memory that observing took; it may go on. */
  dispose(): void;
}

/** What a runner is given. */
export interface CalibrationJob {
  /** The float model with observers in it. Running it is calibration. */
  readonly observed: GraphModule;
  /** Its observers, by their name in the graph. */
  readonly observers: ReadonlyMap<string, ObserverBase>;
  /** The float model that returns each tapped value as an output, or the two ends of its range where its observers need no more; in the order of `taps`; made when asked for. */
  tapped(): { readonly model: GraphModule; readonly taps: readonly Tap[] };
}

export interface Calibrating {
  /** Runs one batch and shows its values to the observers; inputs in the order of the graph. */
  run(inputs: readonly Tensor[]): void | Promise<void>;
  dispose(): void | Promise<void>;
}

/** Runs the float model during calibration: fewbit's engine by default, or another program such as onnxruntime. */
export interface CalibrationRunner {
  readonly name: string;
  /** An engine that whatever else is computed may use; undefined: the default one. */
  readonly engine?: Engine | undefined;
  start(job: CalibrationJob): Calibrating | Promise<Calibrating>;
}

export interface QuantizeOptions {
  /** Default `static`. */
  readonly method?: QuantizeMethod;
  /** Where the result will run; decides dtypes and which operators are integers. Default `wasm`. */
  readonly target?: TargetName | Target;
  /** Default `mse`. */
  readonly observer?: ObserverKind;
  /** For `percentile`: the part of the values kept, default 0.99999. */
  readonly percentile?: number;
  /** Defaults are the target's. */
  readonly activations?: Partial<ActivationOptions>;
  readonly weights?: Partial<WeightOptions>;
  /** Only these operators; by default all that the target has in integers. */
  readonly include?: readonly Selector[];
  /** Never these; wins over `include`. */
  readonly exclude?: readonly Selector[];
  /** Evens out the ranges of channels between consecutive layers before calibration. Default false. */
  readonly crossLayerEqualization?: boolean;
  /** Corrects the shift of each layer's channel means, on the first calibration batches. Default: for `static`. */
  readonly biasCorrection?: boolean;
  /** Further passes over the graph, in order (passes.ts). */
  readonly passes?: readonly QuantizePass[];
  /** How integers are written: QuantizeLinear/DequantizeLinear pairs (default), or QLinear operators. */
  readonly format?: "qdq" | "qoperator";
  /** Opset of the file; by default the oldest that has all that is needed. */
  readonly opset?: number;
  readonly import?: ImportOptions;
  readonly runner?: CalibrationRunner;
  /** Continues a calibration that was cut short. */
  readonly resume?: CalibrationState;
  /** Given the state of calibration every `checkpointEvery` batches, to be kept by the caller. */
  readonly onCheckpoint?: (state: CalibrationState) => void | Promise<void>;
  /** Default 16. */
  readonly checkpointEvery?: number;
  readonly onProgress?: (progress: QuantizeProgress) => void;
  /** Stops between two batches; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}
