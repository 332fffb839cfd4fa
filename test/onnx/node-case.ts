/**
 * One of ONNX's operator test cases: its tensors from JSON, and the comparison with what was computed.
 */

import { fromArray } from "../../src/tensor/create.ts";
import { decodeValues } from "../../src/tensor/wire.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { numel, sameShape } from "../../src/tensor/shape.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

interface StoredTensor {
  readonly dtype: DType;
  readonly shape: number[];
  readonly data: string;
}

export interface NodeCase {
  readonly rtol: number;
  readonly atol: number;
  readonly sets: readonly {
    readonly inputs: readonly (Tensor | null)[];
    readonly outputs: readonly (Tensor | null)[];
  }[];
}

function toTensor(stored: StoredTensor | null): Tensor | null {
  if (!stored) return null;
  const bytes = Uint8Array.from(atob(stored.data), (char) => char.charCodeAt(0));
  return fromArray(decodeValues(stored.dtype, bytes, numel(stored.shape)), stored.shape, stored.dtype);
}

export function readCase(json: string): NodeCase {
  const { rtol, atol, sets } = JSON.parse(json) as {
    rtol: number;
    atol: number;
    sets: { inputs: (StoredTensor | null)[]; outputs: (StoredTensor | null)[] }[];
  };
  return {
    rtol,
    atol,
    sets: sets.map(({ inputs, outputs }) => ({ inputs: inputs.map(toTensor), outputs: outputs.map(toTensor) })),
  };
}

function compareTensor(given: Tensor, expected: Tensor, { rtol, atol }: NodeCase): string {
  if (given.dtype !== expected.dtype) return `gives ${given.dtype} instead of ${expected.dtype}`;
  if (!sameShape(given.shape, expected.shape))
    return `gives shape [${given.shape.join()}] instead of [${expected.shape.join()}]`;
  const exact = !isFloat(expected.dtype);
  let wrong = 0;
  let worst = 0;
  for (let i = 0; i < expected.numel; i++) {
    const [a, b] = [given.data[i]!, expected.data[i]!];
    if (Object.is(a, b) || a === b) continue;
    const difference = Math.abs(a - b);
    if (exact || !(difference <= atol + rtol * Math.abs(b))) {
      wrong++;
      worst = Math.max(worst, difference);
    }
  }
  return wrong === 0 ? "" : `${wrong} of ${expected.numel} values differ, by up to ${worst}`;
}

/** What is wrong with the outputs; empty when nothing is. */
export function compareCase(given: readonly Tensor[], expected: readonly (Tensor | null)[], limits: NodeCase): string {
  if (given.length !== expected.length) return `gives ${given.length} outputs instead of ${expected.length}`;
  return (
    expected.map((tensor, i) => (tensor ? compareTensor(given[i]!, tensor, limits) : "")).find((text) => text !== "") ??
    ""
  );
}
