/**
 * Granularity: how many elements share one scale, as the size of a block along each axis.
 * Source: torchao/quantization/granularity.py.
 */

import { ArgumentError, ShapeError } from "../../errors.ts";
import type { Shape } from "../../tensor/shape.ts";
import { normalizeAxis } from "../../tensor/shape.ts";

export interface Granularity {
  /** One entry an axis. @throws ShapeError when the shape cannot be cut this way. */
  blockSize(shape: Shape): number[];
}

/** One scale for everything. */
export class PerTensor implements Granularity {
  blockSize(shape: Shape): number[] {
    return [...shape];
  }
}

/** One scale for each slice of an axis. */
export class PerAxis implements Granularity {
  readonly axis: number;

  constructor(axis: number) {
    this.axis = axis;
  }

  blockSize(shape: Shape): number[] {
    const axis = normalizeAxis("PerAxis", this.axis, shape.length);
    return shape.map((size, i) => (i === axis ? 1 : size));
  }
}

/** One scale for `groupSize` neighbours of the last axis. */
export class PerGroup implements Granularity {
  readonly groupSize: number;

  /** @throws ArgumentError unless groupSize is a positive integer. */
  constructor(groupSize: number) {
    if (!Number.isInteger(groupSize) || groupSize < 1) {
      throw new ArgumentError("PerGroup", { groupSize }, "groupSize must be a positive integer");
    }
    this.groupSize = groupSize;
  }

  blockSize(shape: Shape): number[] {
    const last = shape.at(-1) ?? 0;
    if (last % this.groupSize !== 0) {
      throw new ShapeError(
        "PerGroup",
        { shape, groupSize: this.groupSize },
        "the last axis must be a multiple of the group size",
      );
    }
    return shape.map((_, i) => (i === shape.length - 1 ? this.groupSize : 1));
  }
}

/** One scale for each row: everything but the last axis is cut up. */
export class PerRow implements Granularity {
  blockSize(shape: Shape): number[] {
    return shape.map((size, i) => (i === shape.length - 1 ? size : 1));
  }
}

/** `PerRow` as activations call it. */
export class PerToken extends PerRow {}

/** Blocks of a given size. */
export class PerBlock implements Granularity {
  readonly sizes: readonly number[];

  constructor(sizes: readonly number[]) {
    this.sizes = sizes;
  }

  blockSize(shape: Shape): number[] {
    const fits =
      this.sizes.length === shape.length && this.sizes.every((size, i) => size === -1 || shape[i]! % size === 0);
    if (!fits)
      throw new ShapeError("PerBlock", { shape, block: this.sizes }, "every axis must be a multiple of its block");
    return this.sizes.map((size, i) => (size === -1 ? shape[i]! : size));
  }
}
