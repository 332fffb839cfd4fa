/** Comparison of an observer's or fake-quantize's settings with those golden files list. */

import { expect } from "vitest";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Fields } from "../golden/load.ts";

/** Every setting the golden case names must be there and equal; one-element tensors stand for their value. */
export function expectSettings(module: object, want: Fields): void {
  const got: Record<string, unknown> = {};
  for (const key of Object.keys(want)) {
    const value = key === "class" ? module.constructor.name : (module as Record<string, unknown>)[key];
    got[key] = value instanceof Tensor ? value.item() : value;
  }
  expect(got).toEqual(want);
}
