/**
 * Tensors whose values are made when they are asked for, and not kept: read from a file, or computed from such. A model
 * larger than memory is a graph of them; writing it makes one after the other.
 */

import type { DType, TypedArray } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";

/** Each use of `data` makes the values anew; writing to them changes nothing. */
export class DeferredTensor extends Tensor {
  private readonly load: () => TypedArray;

  constructor(dtype: DType, shape: Shape, load: () => TypedArray) {
    super(dtype, shape, null);
    this.load = load;
  }

  override get data(): TypedArray {
    return this.load();
  }

  override detach(): Tensor {
    return this;
  }
}

export function isDeferred(tensor: Tensor): tensor is DeferredTensor {
  return tensor instanceof DeferredTensor;
}

/** A tensor computed from another: deferred when that is, computed now when it is not. */
export function derived(source: Tensor, dtype: DType, shape: Shape, make: () => TypedArray): Tensor {
  if (isDeferred(source)) return new DeferredTensor(dtype, shape, make);
  return new Tensor(dtype, shape, make());
}

/** Whether both hold the same values; of deferred ones only the types are compared. */
export function sameValues(a: Tensor, b: Tensor): boolean {
  if (a === b) return true;
  if (a.dtype !== b.dtype || a.numel !== b.numel || a.numel !== numel(b.shape)) return false;
  if (isDeferred(a) || isDeferred(b)) return isDeferred(a) && isDeferred(b);
  const [one, two] = [a.data, b.data];
  return one.every((v: number, i: number) => Object.is(v, two[i]));
}
