/** Exact comparison of tensors with golden ones: dtype, shape, values and quantization parameters. */

import { expect } from "vitest";
import { Tensor } from "../../../src/tensor/tensor.ts";
import type { Value } from "../../golden/load.ts";

/** Values with -0 and 0 told apart as little as PyTorch's equality does. */
function values(tensor: Tensor): number[] {
  return Array.from(tensor.data, (v) => v + 0);
}

export function expectSame(got: Tensor, want: Value | undefined, what = "output"): void {
  if (!(want instanceof Tensor)) throw new Error(`${what}: the golden file holds no tensor`);
  expect({ what, dtype: got.dtype, shape: [...got.shape] }).toEqual({
    what,
    dtype: want.dtype,
    shape: [...want.shape],
  });
  expect({ what, values: values(got) }).toEqual({ what, values: values(want) });
  if (want.qparams) expect(got.qparams).toEqual(want.qparams);
}

/** The golden tensor of a field. */
export function tensorOf(value: Value | undefined): Tensor {
  if (value instanceof Tensor) return value;
  throw new Error("the golden field is not a tensor");
}

export function numberOf(value: Value | undefined): number {
  if (typeof value === "number") return value;
  throw new Error("the golden field is not a number");
}
