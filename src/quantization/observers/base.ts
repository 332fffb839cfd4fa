/**
 * What all observers share: they look at tensors passing by, keep a few numbers, never the data, and answer with
 * quantization parameters. Source: ObserverBase and UniformQuantizationObserverBase,
 * torch/ao/quantization/observer.py.
 */

import { ArgumentError, QuantError } from "../../errors.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import { EPS, calculateQuantRange } from "../../ops/quantize/numerics.ts";
import type { QParamsRule } from "../../ops/quantize/numerics.ts";
import type { Range } from "../../ops/quantize/ranges.ts";
import { qparamsOfRange } from "../../ops/quantize/observe.ts";
import { activeTracer, noGrad } from "../../tensor/context.ts";
import { ones, scalar, tensor, zeros } from "../../tensor/create.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import { sameShape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { factoryOf } from "../factory.ts";
import type { ModuleFactory, OptionsClass } from "../factory.ts";

/** Scales and zero points, [channels] or [1]. */
export interface CalculatedQParams {
  /** float32. */
  readonly scale: Tensor;
  /** int32 (affine), int64 (symmetric and unobserved) or float32 (float_qparams). */
  readonly zeroPoint: Tensor;
  /** False when nothing has been observed: the parameters are then 1 and 0, and mean nothing. */
  readonly observed: boolean;
}

/** What an observer has seen, by PyTorch's keys, and `num_batches`; ready for safetensors. */
export type ObserverState = ReadonlyMap<string, Tensor>;

const BATCHES = "num_batches";

/** PyTorch's answer of an observer without data. */
export function unobservedQParams(): CalculatedQParams {
  return { scale: ones([1]), zeroPoint: zeros([1], { dtype: "int64" }), observed: false };
}

/**
 * Puts a new value into a buffer: assigned in place when the shape is kept, so that a capture can record it;
 * else the value itself takes the buffer's place. Returns what the property must hold.
 * @throws QuantError when the shape changes during a capture.
 */
export function storeBuffer(buffer: Tensor, value: Tensor): Tensor {
  if (sameShape(buffer.shape, value.shape)) return buffer.assign(value);
  if (activeTracer()) {
    throw new QuantError(
      "capture",
      { buffer: buffer.shape, value: value.shape },
      "the number of channels is not known yet",
      "Run one batch before capturing",
    );
  }
  return new Tensor(buffer.dtype, value.shape, zeros(value.shape, { dtype: buffer.dtype }).data).assign(value);
}

/** A batch of which only statistics are at hand: how compiled graphs calibrate without copying tensors out. */
export interface BatchStatistics {
  /** Smallest and largest value; NaN when there is one. */
  readonly range: Range;
  /** How many values fall into each of `bins` equal bins of min..max (min < max), float32. */
  counts(bins: number, min: number, max: number): Float32Array;
}

export abstract class ObserverBase extends Module {
  readonly dtype: DType;
  readonly isDynamic: boolean;
  /** Batches seen by this instance; weighs moving averages when two are merged. */
  protected batches = 0;

  constructor(dtype: DType, isDynamic: boolean) {
    super();
    this.dtype = dtype;
    this.isDynamic = isDynamic;
  }

  /** Set before a capture to record the operators inside, for training steps that are compiled. */
  captureInside = false;

  /** Captured graphs call an observer as a whole, unless `captureInside` says otherwise. */
  override get isGraphLeaf(): boolean {
    return !this.captureInside;
  }

  /** Looks at x and returns the same tensor. */
  forward(x: Tensor): Tensor {
    this.observe(x);
    return x;
  }

  /** Takes one batch into the statistics. Empty batches change nothing. */
  abstract observe(x: Tensor): void;

  /** Whether the smallest and largest value of a batch tell it as much as all values: `observe` may be given those two. */
  get needsRangeOnly(): boolean {
    return false;
  }

  /** Takes in a batch by its statistics, with the same result as `observe`; false when the values themselves are needed. */
  observeStatistics(_batch: BatchStatistics): boolean {
    return false;
  }

  /** A tensor that says as much to `observe` as x does, smaller where only a few numbers of x matter. */
  condensed(x: Tensor): Tensor {
    return x;
  }

  /** Scales and zero points of what was seen. @throws QuantError for observers that have none. */
  abstract calculateQParams(): CalculatedQParams;

  /** Whether there is anything to calculate parameters from. */
  get hasObserved(): boolean {
    return true;
  }

  /**
   * Takes over what another observer of the same kind and settings has seen.
   * @throws QuantError for another kind.
   */
  merge(other: ObserverBase): this {
    if (other.constructor !== this.constructor) {
      throw new QuantError(
        "merge",
        { own: this.constructor.name, other: other.constructor.name },
        "only observers of the same kind can be merged",
      );
    }
    this.mergeStatistics(other as this);
    this.batches += other.batches;
    return this;
  }

  /** The merge of one kind; observers without statistics have nothing to do. */
  protected mergeStatistics(_other: this): void {}

  /** A copy of the statistics, to be kept or sent elsewhere. */
  state(): ObserverState {
    const copies = [...this.stateDict()].map(([key, value]) => [key, value.copy()] as const);
    return new Map([...copies, [BATCHES, scalar(this.batches, "int64")]]);
  }

  /** Takes back what `state` gave. @throws ModuleError when keys do not match. */
  load(state: ObserverState): this {
    const entries = [...state].filter(([key]) => key !== BATCHES);
    this.loadStateDict(new Map(entries));
    this.batches = state.get(BATCHES)?.item() ?? 0;
    return this;
  }

  /** Counts a batch, unless this is only a capture. */
  protected countBatch(): void {
    if (!activeTracer()) this.batches++;
  }

  /** A constructor with some options set; chainable, later options win. */
  static withArgs<T extends AnyModule, O>(this: OptionsClass<T, O>, args: Partial<O>): ModuleFactory<T, O> {
    return factoryOf(this, args);
  }

  /** A constructor that asks functions for options, at each construction. */
  static withCallableArgs<T extends AnyModule, O>(
    this: OptionsClass<T, O>,
    args: { readonly [K in keyof O]?: () => O[K] },
  ): ModuleFactory<T, O> {
    return factoryOf(this, {}, args);
  }
}

/** Options of all observers that compute scales. */
export interface ObserverOptions {
  readonly dtype?: DType;
  readonly qscheme?: QScheme;
  /** Halves the range, for kernels whose 16-bit sums would overflow. */
  readonly reduceRange?: boolean;
  /** Both or neither: the integers to use, instead of all of the dtype's. */
  readonly quantMin?: number | null;
  readonly quantMax?: number | null;
  /** Smallest scale. */
  readonly eps?: number;
  readonly isDynamic?: boolean;
}

const DTYPES: readonly DType[] = [
  "qint8", "quint8", "quint4x2", "qint32", "int8", "uint8", "int16", "int32", "float8_e5m2", "float8_e4m3fn", "uint16",
]; // prettier-ignore

/** Common base of observers that compute scale and zero point by the affine formulas. */
export abstract class UniformQuantizationObserverBase extends ObserverBase {
  readonly qscheme: QScheme;
  readonly reduceRange: boolean;
  /** The integer range in force, after reduceRange. */
  readonly quantMin: number;
  readonly quantMax: number;
  /** Smallest scale, [1]. */
  eps: Tensor;
  protected readonly customRange: boolean;

  /** @throws ArgumentError for a dtype observers do not know, or an illegal range. */
  constructor(where: string, options: ObserverOptions) {
    const { dtype = "quint8", qscheme = "per_tensor_affine", reduceRange = false, isDynamic = false } = options;
    super(dtype, isDynamic);
    if (!DTYPES.includes(dtype))
      throw new ArgumentError(where, { dtype, known: DTYPES }, "observers do not know the dtype");
    const { quantMin = null, quantMax = null, eps = EPS } = options;
    this.qscheme = qscheme;
    this.reduceRange = reduceRange;
    this.eps = tensor([eps]);
    this.customRange = quantMin !== null && quantMax !== null;
    const range = calculateQuantRange(where, { dtype, reduceRange, quantMin, quantMax });
    this.quantMin = range.quantMin;
    this.quantMax = range.quantMax;
  }

  /** How a range becomes parameters here. */
  protected get rule(): QParamsRule {
    const { quantMin, quantMax, qscheme, dtype, customRange } = this;
    return { quantMin, quantMax, qscheme, dtype, customRange, eps: this.eps.item() };
  }

  /** The parameters of a range. @throws ArgumentError when a minimum exceeds its maximum. */
  protected qparamsOf(min: Tensor, max: Tensor): CalculatedQParams {
    const [scale, zeroPoint] = noGrad(() => qparamsOfRange(min, max, this.rule));
    return { scale, zeroPoint, observed: true };
  }

  /** Forgets what was seen. @throws QuantError where that is not defined. */
  resetMinMaxVals(): void {
    throw new QuantError("resetMinMaxVals", { observer: this.constructor.name }, "this observer cannot be reset");
  }
}
