/** golden/observers.json and golden/histogram.json: state after every batch, and the parameters, as PyTorch has them. */

import { describe, expect, test } from "vitest";
import { FewbitError } from "../../src/errors.ts";
import * as observers from "../../src/quantization/observers/index.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { loadGolden } from "../golden/load.ts";
import type { Fields, GoldenCase, Value } from "../golden/load.ts";
import { expectSame, numberOf, tensorOf } from "../ops/quantize/support.ts";
import { expectSettings } from "./support.ts";

type Observer = observers.ObserverBase;
const classes = observers as unknown as Record<string, new (options: object) => Observer>;
const named = observers as unknown as Record<string, () => Observer>;

/** The dense form of a histogram of which only non-zero bins were written. */
function dense(value: Value | undefined): Float32Array {
  const { bins, index, count } = value as Fields;
  const out = new Float32Array(numberOf(bins));
  tensorOf(index).data.forEach((bin, i) => (out[bin] = tensorOf(count).data[i]!));
  return out;
}

function checkState(observer: Observer, want: Fields, batch: number): void {
  const state = observer.stateDict();
  for (const [key, value] of Object.entries(want)) {
    const got = state.get(key)!;
    if (value instanceof Tensor) expectSame(got, value, `${key} after batch ${batch}`);
    else expect([...got.data], `${key} after batch ${batch}`).toEqual([...dense(value)]);
  }
}

function run({ op, inputs, attrs, expected }: GoldenCase): void {
  const observer = new classes[op]!(attrs);
  const states = expected["states"] as readonly Fields[] | undefined;
  (inputs["batches"] as readonly Tensor[]).forEach((x, i) => {
    expect(observer.forward(x)).toBe(x);
    if (states) checkState(observer, states[i]!, i);
  });
  const { scale, zeroPoint } = observer.calculateQParams();
  expectSame(scale, expected["scale"], "scale");
  expectSame(zeroPoint, expected["zeroPoint"], "zeroPoint");
  const { quantMin, quantMax } = observer as unknown as { quantMin: number; quantMax: number };
  expect([quantMin, quantMax]).toEqual([expected["effectiveQuantMin"], expected["effectiveQuantMax"]]);
}

function check(one: GoldenCase): void {
  if (one.op === "namedObserver") {
    expectSettings(named[one.attrs["name"] as string]!(), one.expected["settings"] as Fields);
  } else if ("throws" in one.expected) expect(() => run(one)).toThrow(FewbitError);
  else run(one);
}

describe.each(["observers", "histogram"])("golden %s", (area) => {
  test.each(loadGolden(area).cases.map((one) => [one.name, one] as const))("%s", (_, one) => check(one));
});
