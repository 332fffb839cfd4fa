/**
 * How golden results are compared: integers, shapes, dtypes and integer qparams equal; floats within a budget that
 * the caller names. A failure says which value of which case, what came out and what PyTorch had.
 */

import { expect } from "vitest";
import { isFloat } from "../../src/tensor/dtype.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Fields, GoldenCase, Value } from "./load.ts";

/** Largest allowed |actual - expected|: absolute + relative * |expected|, or relative to the largest value. */
export interface Budget {
  readonly absolute?: number;
  readonly relative?: number;
  /** Relative to the largest expected magnitude: for sums, whose small results are differences of large terms. */
  readonly ofLargest?: number;
}

/** Bit for bit (but 0 equals -0). */
export const EXACT: Budget = {};

function allowed(expected: number, largest: number, { absolute = 0, relative = 0, ofLargest = 0 }: Budget): number {
  return absolute + relative * Math.abs(expected) + ofLargest * largest;
}

function near(actual: number, expected: number, largest: number, budget: Budget): boolean {
  if (actual === expected || (Number.isNaN(actual) && Number.isNaN(expected))) return true;
  return Math.abs(actual - expected) <= allowed(expected, largest, budget);
}

function largestOf(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest;
}

/** The first element that is out of budget, as a sentence; null when there is none. */
function firstDifference(actual: ArrayLike<number>, expected: ArrayLike<number>, budget: Budget): string | null {
  const largest = largestOf(expected);
  let wrong = 0;
  let first = "";
  for (let i = 0; i < expected.length; i++) {
    if (near(actual[i]!, expected[i]!, largest, budget)) continue;
    if (wrong++ === 0) first = `[${i}] is ${actual[i]}, expected ${expected[i]}`;
  }
  return wrong === 0 ? null : `${first} (${wrong} of ${expected.length} differ)`;
}

/** Asserts that a tensor is PyTorch's: type, qparams and values. */
export function expectTensor(actual: Tensor, expected: Tensor, budget: Budget, where: string): void {
  expect(`${actual.dtype}[${actual.shape.join()}]`, `${where}: type`).toBe(`${expected.dtype}[${expected.shape.join()}]`);
  if (expected.qparams) expect(actual.qparams, `${where}: qparams`).toEqual(expected.qparams);
  const difference = firstDifference(actual.data, expected.data, isFloat(expected.dtype) ? budget : EXACT);
  if (difference) expect.fail(`${where}: ${difference}`);
}

/** Asserts that two lists of numbers agree within a budget. */
export function expectNumbers(actual: ArrayLike<number>, expected: ArrayLike<number>, budget: Budget, where: string): void {
  expect(actual.length, `${where}: length`).toBe(expected.length);
  const difference = firstDifference(actual, expected, budget);
  if (difference) expect.fail(`${where}: ${difference}`);
}

/** Reads fields of known types out of a case, failing with the field's name when the file holds something else. */
export function tensorAt(fields: Fields, key: string): Tensor {
  const value = fields[key];
  if (value instanceof Tensor) return value;
  throw new Error(`${key} is not a tensor in the golden file`);
}

export function tensorOr<T>(fields: Fields, key: string, otherwise: T): Tensor | T {
  const value = fields[key];
  return value instanceof Tensor ? value : otherwise;
}

export function numberAt(fields: Fields, key: string): number {
  const value = fields[key];
  if (typeof value === "number") return value;
  throw new Error(`${key} is not a number in the golden file`);
}

export function fieldsAt(fields: Fields, key: string): Fields {
  const value = fields[key];
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Tensor)) return value as Fields;
  throw new Error(`${key} is not a record in the golden file`);
}

export function listAt(fields: Fields, key: string): readonly Value[] {
  const value = fields[key];
  if (Array.isArray(value)) return value as readonly Value[];
  throw new Error(`${key} is not a list in the golden file`);
}

export function tensorsAt(fields: Fields, key: string): readonly Tensor[] {
  return listAt(fields, key).map((value, i) => tensorAt({ [`${key}[${i}]`]: value }, `${key}[${i}]`));
}

/** A copy of an input on which a gradient is wanted. */
export function leaf(x: Tensor): Tensor {
  return isFloat(x.dtype) ? x.copy().requireGrad() : x.copy();
}

/** Cases as vitest's `it.each` wants them. */
export function table(cases: readonly GoldenCase[]): [string, GoldenCase][] {
  return cases.map((one) => [one.name, one]);
}
