/**
 * What a declared sample of an operator is, and float64 inputs to make one of.
 */

import { fromArray } from "../../../src/tensor/create.ts";
import { Generator } from "../../../src/tensor/random.ts";
import { numel } from "../../../src/tensor/shape.ts";
import type { Shape } from "../../../src/tensor/shape.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Differentiable } from "../gradient-check.ts";

export interface Sample {
  readonly f: Differentiable;
  /** float64; away from kinks by more than the step of the differences. */
  readonly inputs: readonly Tensor[];
  /** Why only the first gradient is checked. */
  readonly firstOnly?: string;
}

/** Samples of an operator; the operator whose second gradient runs it; or why it has none. */
export type Entry = readonly Sample[] | { readonly gradientOf: string } | { readonly untested: string };

export type SampleTable = Readonly<Record<string, Entry>>;

export function sample(f: Differentiable, ...inputs: readonly Tensor[]): Sample {
  return { f, inputs };
}

/** Normal values, the same for the same shape and seed. */
export function normal(shape: Shape, seed = 1): Tensor {
  const generator = new Generator(seed);
  return fromArray(
    Float64Array.from({ length: numel(shape) }, () => generator.normal()),
    shape,
    "float64",
  );
}

/** Uniform values in low..high. */
export function uniform(shape: Shape, low: number, high: number, seed = 1): Tensor {
  const generator = new Generator(seed);
  const values = Float64Array.from({ length: numel(shape) }, () => low + (high - low) * generator.uniform());
  return fromArray(values, shape, "float64");
}

export function list(...values: readonly number[]): Tensor {
  return fromArray(Float64Array.from(values), [values.length], "float64");
}

export function indices(shape: Shape, ...values: readonly number[]): Tensor {
  return fromArray(Float64Array.from(values), shape, "int64");
}
