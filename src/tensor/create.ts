/**
 * Ways to make a tensor from numbers. Names and defaults are PyTorch's: float32 unless said otherwise,
 * except that `tensor` of booleans is bool, and `arange` is int64.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { defaultGenerator } from "./context.ts";
import { allocate } from "./dtype.ts";
import type { DType, TypedArray } from "./dtype.ts";
import type { Generator } from "./random.ts";
import { numel } from "./shape.ts";
import type { Shape } from "./shape.ts";
import { Tensor } from "./tensor.ts";
import type { Nested } from "./tensor.ts";

export interface CreateOptions {
  readonly dtype?: DType;
}

export interface RandomOptions extends CreateOptions {
  readonly generator?: Generator;
}

function nestedShape(values: Nested): number[] {
  const shape: number[] = [];
  let level = values;
  while (Array.isArray(level)) {
    const list = level as readonly Nested[];
    shape.push(list.length);
    if (list.length === 0) break;
    level = list[0]!;
  }
  return shape;
}

function fillNested(values: Nested, shape: Shape, axis: number, out: TypedArray, at: { index: number }): void {
  if (!Array.isArray(values)) {
    if (axis !== shape.length) throw new ShapeError("tensor", { shape }, "nested arrays must have equal lengths");
    out[at.index++] = Number(values);
    return;
  }
  const list = values as readonly Nested[];
  if (list.length !== shape[axis]) {
    throw new ShapeError("tensor", { shape, length: list.length }, "nested arrays must have equal lengths");
  }
  for (const value of list) fillNested(value, shape, axis + 1, out, at);
}

function firstLeaf(values: Nested): number | boolean | undefined {
  let level: Nested | undefined = values;
  while (Array.isArray(level)) level = (level as readonly Nested[])[0];
  return level as number | boolean | undefined;
}

/** A tensor of nested arrays of numbers, or of a typed array with a shape. @throws ShapeError */
export function tensor(values: Nested, options: CreateOptions = {}): Tensor {
  const dtype = options.dtype ?? (typeof firstLeaf(values) === "boolean" ? "bool" : "float32");
  const shape = nestedShape(values);
  const data = allocate(dtype, numel(shape));
  fillNested(values, shape, 0, data, { index: 0 });
  return new Tensor(dtype, shape, data);
}

/** A tensor over row-major values; copies unless they already are the dtype's storage. @throws ShapeError */
export function fromArray(values: ArrayLike<number>, shape: Shape, dtype: DType = "float32"): Tensor {
  const empty = allocate(dtype, 0);
  if (values instanceof empty.constructor) return new Tensor(dtype, shape, values as TypedArray);
  const data = allocate(dtype, values.length);
  data.set(values);
  return new Tensor(dtype, shape, data);
}

export function full(shape: Shape, value: number, { dtype = "float32" }: CreateOptions = {}): Tensor {
  return new Tensor(dtype, shape, allocate(dtype, numel(shape)).fill(value));
}

export function zeros(shape: Shape, options: CreateOptions = {}): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: Shape, options: CreateOptions = {}): Tensor {
  return full(shape, 1, options);
}

/** A 0-d tensor. */
export function scalar(value: number, dtype: DType = "float32"): Tensor {
  return full([], value, { dtype });
}

export function eye(n: number, options: CreateOptions = {}): Tensor {
  const out = zeros([n, n], options);
  for (let i = 0; i < n; i++) out.data[i * n + i] = 1;
  return out;
}

/** start, start + step, ... below `end`. `arange(n)` counts from 0. */
export function arange(start: number, end?: number, step = 1, { dtype = "int64" }: CreateOptions = {}): Tensor {
  const [first, last] = end === undefined ? [0, start] : [start, end];
  if (step === 0) throw new ArgumentError("arange", { start: first, end: last, step }, "step must not be zero");
  const length = Math.max(0, Math.ceil((last - first) / step));
  const data = allocate(dtype, length);
  for (let i = 0; i < length; i++) data[i] = first + i * step;
  return new Tensor(dtype, [length], data);
}

/** `steps` values from `start` to `end`, both included. */
export function linspace(start: number, end: number, steps: number, { dtype = "float32" }: CreateOptions = {}): Tensor {
  const data = allocate(dtype, steps);
  const step = steps > 1 ? (end - start) / (steps - 1) : 0;
  for (let i = 0; i < steps; i++) data[i] = i < steps / 2 ? start + step * i : end - step * (steps - 1 - i);
  return new Tensor(dtype, [steps], data);
}

function generated(shape: Shape, dtype: DType, draw: () => number): Tensor {
  const data = allocate(dtype, numel(shape));
  for (let i = 0; i < data.length; i++) data[i] = draw();
  return new Tensor(dtype, shape, data);
}

/** Uniform in [0, 1). */
export function rand(shape: Shape, { dtype = "float32", generator = defaultGenerator() }: RandomOptions = {}): Tensor {
  return generated(shape, dtype, () => generator.uniform());
}

/** Standard normal. */
export function randn(shape: Shape, { dtype = "float32", generator = defaultGenerator() }: RandomOptions = {}): Tensor {
  return generated(shape, dtype, () => generator.normal());
}

/** Uniform integers in low..high-1. */
export function randint(
  low: number,
  high: number,
  shape: Shape,
  { dtype = "int64", generator = defaultGenerator() }: RandomOptions = {},
): Tensor {
  if (!(high > low)) throw new ArgumentError("randint", { low, high }, "high must be greater than low");
  return generated(shape, dtype, () => low + generator.integer(high - low));
}
