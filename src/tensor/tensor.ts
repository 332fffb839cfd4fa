/**
 * Tensor: shape, dtype and a typed array on the JavaScript heap.
 *
 * Always contiguous and row-major; the garbage collector owns it, so nothing is disposed of. A quantized
 * tensor is a tensor whose dtype is quantized and which carries its QParams; `data` then holds the
 * integers. Arithmetic methods (`x.add(y)`) are installed by ops/methods.ts, one floor up.
 */

import { AutogradError, DtypeError, GraphError, ShapeError } from "../errors.ts";
import { activeTracer } from "./context.ts";
import { allocate, dtypeInfo, isFloat, isQuantized } from "./dtype.ts";
import type { DType, TypedArray } from "./dtype.ts";
import { checkQParams } from "./qparams.ts";
import type { QParams } from "./qparams.ts";
import { numel, stridesOf } from "./shape.ts";
import type { Shape } from "./shape.ts";

/** What is known of a tensor before its values are. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly qparams?: QParams;
}

/** The tape entry that made a tensor; autograd/ knows what is inside. */
export interface GradientSource {
  readonly opName: string;
}

/** What holds a tensor's values elsewhere for a while: a compiled training step. */
export interface Keeper {
  /** Writes the current values into the array they came in; called when somebody reads the tensor. */
  giveBack(tensor: Tensor, values: TypedArray): void;
}

export type Nested = number | boolean | readonly Nested[];

export class Tensor implements TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
  declare readonly qparams?: QParams;
  /** Set on leaves whose gradient is wanted, and by autograd on everything computed from them. */
  requiresGrad = false;
  grad: Tensor | null = null;
  /** How this tensor was computed, while a gradient may still be asked for. */
  gradSource: GradientSource | null = null;
  private values: TypedArray | null;
  private lent: { readonly values: TypedArray; readonly keeper: Keeper } | null = null;

  /**
   * @param values row-major elements, or null for a tensor that stands for values not computed (capture).
   * @throws ShapeError, DtypeError when values, shape, dtype and qparams contradict one another.
   */
  constructor(dtype: DType, shape: Shape, values: TypedArray | null, qparams?: QParams) {
    if (values !== null && values.length !== numel(shape)) {
      throw new ShapeError("Tensor", { shape, values: values.length }, "the shape must hold exactly the given values");
    }
    if (isQuantized(dtype) !== (qparams !== undefined)) {
      throw new DtypeError("Tensor", { dtype, qparams }, "quantized dtypes, and only they, carry qparams");
    }
    if (qparams) {
      checkQParams("Tensor", qparams, shape);
      this.qparams = qparams;
    }
    this.dtype = dtype;
    this.shape = shape;
    this.values = values;
  }

  /** The values, row-major; integers for quantized tensors. Writing changes the tensor. */
  get data(): TypedArray {
    return this.values ?? this.takeBack();
  }

  /**
   * Leaves the values with a keeper, which has the only current copy until someone reads `data`; then it is asked for
   * them, once. So a compiled training step may work on its own memory and nobody else sees stale parameters.
   */
  lend(keeper: Keeper): void {
    this.lent = { values: this.data, keeper };
    this.values = null;
  }

  /** Whether `keeper` has the current values. */
  isLentTo(keeper: Keeper): boolean {
    return this.lent?.keeper === keeper;
  }

  private takeBack(): TypedArray {
    const { lent } = this;
    if (lent === null) {
      throw new AutogradError("Tensor.data", { shape: this.shape }, "this tensor has a type but no values");
    }
    this.lent = null;
    this.values = lent.values;
    lent.keeper.giveBack(this, lent.values);
    return lent.values;
  }

  get rank(): number {
    return this.shape.length;
  }

  get numel(): number {
    return numel(this.shape);
  }

  get isQuantized(): boolean {
    return isQuantized(this.dtype);
  }

  /** Size of one axis; negative axes count from the end. */
  size(axis: number): number {
    const size = this.shape.at(axis);
    if (size === undefined) throw new ShapeError("size", { axis, shape: this.shape }, "the tensor has no such axis");
    return size;
  }

  /** The only value of a tensor with one element. @throws ShapeError */
  item(): number {
    if (this.numel !== 1)
      throw new ShapeError("item", { shape: this.shape }, "only a tensor with one element has an item");
    return this.data[0]!;
  }

  /** Nested arrays of numbers; for quantized tensors of the integers. */
  tolist(): Nested {
    const { data, shape } = this;
    const strides = stridesOf(shape);
    const build = (axis: number, offset: number): Nested =>
      axis === shape.length
        ? data[offset]!
        : Array.from({ length: shape[axis]! }, (_, i) => build(axis + 1, offset + i * strides[axis]!));
    return build(0, 0);
  }

  /** The same values without history. Shares memory. */
  detach(): Tensor {
    return new Tensor(this.dtype, this.shape, this.data, this.qparams);
  }

  /** A copy without history. */
  copy(): Tensor {
    return new Tensor(this.dtype, this.shape, this.data.slice(), this.qparams);
  }

  /**
   * Overwrites the values, keeping identity: how optimizers, `loadStateDict` and running statistics change a
   * parameter or buffer. Assigning a tensor is noted by a capture that is listening, so that running the graph
   * makes the same change; assigning plain numbers is not, and is refused while capturing.
   * @throws ShapeError when the number of values differs; GraphError for plain numbers while capturing.
   */
  assign(values: ArrayLike<number> | Tensor): this {
    const count = values instanceof Tensor ? values.numel : values.length;
    if (count !== this.numel) {
      throw new ShapeError("assign", { shape: this.shape, values: count }, "the number of values must not change");
    }
    const tracer = activeTracer();
    if (!tracer) this.data.set(values instanceof Tensor ? values.data : values);
    else if (values instanceof Tensor) tracer.assign(this, values);
    else throw new GraphError("assign", { shape: this.shape }, "only tensors can be assigned while capturing");
    return this;
  }

  /** Marks a float leaf as one whose gradient is wanted. @throws DtypeError for integers. */
  requireGrad(wanted = true): this {
    if (wanted && !isFloat(this.dtype)) {
      throw new DtypeError("requireGrad", { dtype: this.dtype }, "only float tensors have gradients");
    }
    this.requiresGrad = wanted;
    return this;
  }

  toString(): string {
    const shown = this.numel > 1000 ? "…" : JSON.stringify(this.tolist());
    const qparams = this.qparams ? `, ${JSON.stringify(this.qparams)}` : "";
    return `tensor(${shown}, ${this.dtype}[${this.shape.join(",")}]${qparams})`;
  }
}

/** A leaf that training changes: found by modules and optimizers by its class. */
export class Parameter extends Tensor {
  constructor(from: Tensor, requiresGrad = true) {
    super(from.dtype, from.shape, from.data, from.qparams);
    this.requiresGrad = requiresGrad;
  }
}

/** Zero-filled tensor of a type (quantized ones keep their qparams). */
export function emptyLike(type: TensorType): Tensor {
  return new Tensor(type.dtype, type.shape, allocate(type.dtype, numel(type.shape)), type.qparams);
}

/** Name of the typed array class a dtype is stored in, for error messages. */
export function storageName(dtype: DType): string {
  return dtypeInfo[dtype].storage.name;
}
