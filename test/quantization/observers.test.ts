/** Observers beyond golden vectors: constructors as values, merging, state, refusals, capture-free laws. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ArgumentError, FewbitError, QuantError } from "../../src/errors.ts";
import { Module } from "../../src/nn/module.ts";
import { isFactory, sameFactory } from "../../src/quantization/factory.ts";
import * as o from "../../src/quantization/observers/index.ts";
import { fromArray, randn, tensor } from "../../src/tensor/create.ts";
import { Generator } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

const batch = fc
  .array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }), { minLength: 2, maxLength: 20 })
  .map((values) => fromArray(values, [values.length]));
const batches = fc.array(batch, { minLength: 1, maxLength: 5 });

function observed<T extends o.ObserverBase>(observer: T, list: readonly Tensor[]): T {
  for (const x of list) observer.forward(x);
  return observer;
}

function plain(observer: o.ObserverBase): Record<string, number[]> {
  return Object.fromEntries([...observer.stateDict()].map(([key, value]) => [key, [...value.data]]));
}

describe("constructors as values", () => {
  test("later options win, and every call makes a new module", () => {
    const factory = o.MinMaxObserver.withArgs({ dtype: "qint8", quantMin: -8, quantMax: 7 });
    const narrower = factory.withArgs({ quantMin: -4, quantMax: 3 });
    expect([factory().quantMin, narrower().quantMin, narrower().dtype]).toEqual([-8, -4, "qint8"]);
    expect(factory()).not.toBe(factory());
    expect(narrower.observer).toBe(o.MinMaxObserver);
    expect(narrower.args).toEqual({ dtype: "qint8", quantMin: -4, quantMax: 3 });
    expect(Object.isFrozen(narrower)).toBe(true);
    expect(isFactory(narrower) && !isFactory(o.MinMaxObserver)).toBe(true);
  });

  test("callable options are asked at each construction", () => {
    let bins = 100;
    const factory = o.HistogramObserver.withCallableArgs({ bins: () => bins++ });
    expect([factory().bins, factory().bins]).toEqual([100, 101]);
  });

  test("are equal by class and options", () => {
    const a = o.MinMaxObserver.withArgs({ dtype: "qint8" });
    expect(sameFactory(a, o.MinMaxObserver.withArgs({ dtype: "qint8" }))).toBe(true);
    expect(sameFactory(a, o.MinMaxObserver.withArgs({ dtype: "quint8" }))).toBe(false);
    expect(sameFactory(a, o.MovingAverageMinMaxObserver.withArgs({ dtype: "qint8" }))).toBe(false);
    expect(sameFactory(o.MinMaxObserver, o.MinMaxObserver.withArgs({}))).toBe(true);
  });
});

describe("merge", () => {
  test("of ranges is exact, whatever the order", () => {
    fc.assert(
      fc.property(batches, batches, (a, b) => {
        const both = observed(new o.MinMaxObserver(), [...a, ...b]);
        const first = observed(new o.MinMaxObserver(), a).merge(observed(new o.MinMaxObserver(), b));
        const second = observed(new o.MinMaxObserver(), b).merge(observed(new o.MinMaxObserver(), a));
        expect(plain(first)).toEqual(plain(both));
        expect(plain(second)).toEqual(plain(both));
      }),
    );
  });

  test("of channels is exact, and an empty observer is neutral", () => {
    const generator = new Generator(5);
    const [a, b] = [randn([3, 4], { generator }), randn([3, 4], { generator })];
    const make = (...list: Tensor[]): o.PerChannelMinMaxObserver => observed(new o.PerChannelMinMaxObserver(), list);
    expect(plain(make(a).merge(make(b)))).toEqual(plain(make(a, b)));
    expect(plain(make().merge(make(a)))).toEqual(plain(make(a)));
    expect(plain(make(a).merge(make()))).toEqual(plain(make(a)));
    expect(() => make(a).merge(make(randn([2, 4])))).toThrow(ArgumentError);
  });

  test("of moving averages weighs by batches", () => {
    const make = (...values: number[]): o.MovingAverageMinMaxObserver =>
      observed(
        new o.MovingAverageMinMaxObserver({ averagingConstant: 0.5 }),
        values.map((v) => tensor([0, v])),
      );
    expect(make(1, 1, 1).merge(make(5)).maxVal.item()).toBe(2);
  });

  test("of histograms loses no count, and moves none by more than a bin", () => {
    fc.assert(
      fc.property(batches, batches, (a, b) => {
        const bins = 64;
        const make = (list: readonly Tensor[]): o.HistogramObserver =>
          observed(new o.HistogramObserver({ bins }), list);
        const [merged, both] = [make(a).merge(make(b)), make([...a, ...b])];
        expect([merged.minVal.item(), merged.maxVal.item()]).toEqual([both.minVal.item(), both.maxVal.item()]);
        const values = [...a, ...b].flatMap((x) => [...x.data]);
        let [own, cumulated] = [0, 0];
        const width = (both.maxVal.item() - both.minVal.item()) / bins;
        // A value passes through at most one coarser grid a widening; each may shift it by a bin of that grid.
        const slack = width * (a.length + b.length);
        for (let i = 0; i < bins; i++) {
          own += merged.histogram.data[i]!;
          const edge = both.minVal.item() + (i + 1) * width;
          cumulated = values.filter((v) => v <= edge + slack).length;
          expect(own).toBeLessThanOrEqual(cumulated + 1e-3);
        }
        if (width > 0) expect(own).toBeCloseTo(values.length, 2);
      }),
    );
  });

  test("of different kinds is refused", () => {
    expect(() => new o.MinMaxObserver().merge(new o.HistogramObserver())).toThrow(QuantError);
    expect(() => new o.HistogramObserver({ bins: 8 }).merge(new o.HistogramObserver())).toThrow(ArgumentError);
  });
});

describe("state", () => {
  const x = randn([3, 8], { generator: new Generator(9) });

  test.each([
    ["MinMaxObserver", () => new o.MinMaxObserver()],
    ["MovingAverageMinMaxObserver", () => new o.MovingAverageMinMaxObserver()],
    ["PerChannelMinMaxObserver", () => new o.PerChannelMinMaxObserver({ chAxis: 1 })],
    ["HistogramObserver", () => new o.HistogramObserver({ bins: 32 })],
  ] as const)("%s goes on where it was saved", (_, make) => {
    const first = observed(make(), [x]);
    const saved = first.state();
    const second = make().load(saved);
    first.forward(x);
    expect(plain(second)).not.toBe(plain(first));
    second.forward(x);
    expect(plain(second)).toEqual(plain(first));
    expect(second.calculateQParams().scale.tolist()).toEqual(first.calculateQParams().scale.tolist());
  });

  test("of all observers of a model is saved apart", () => {
    class Model extends Module {
      activation_post_process = new o.PerChannelMinMaxObserver();
      weight = tensor([1]);
      forward(y: Tensor): Tensor {
        return this.activation_post_process.forward(y);
      }
    }
    const model = new Model();
    model.forward(x);
    const state = o.getObserverStateDict(model);
    expect([...state.keys()]).toEqual(["eps", "min_val", "max_val"].map((key) => `activation_post_process.${key}`));
    const fresh = new Model();
    o.loadObserverStateDict(fresh, state);
    expect(plain(fresh.activation_post_process)).toEqual(plain(model.activation_post_process));
    expect(() => o.loadObserverStateDict(fresh, new Map())).toThrow(FewbitError);
  });
});

describe("observers without data", () => {
  test("say so", () => {
    const observer = new o.MinMaxObserver();
    expect(observer.hasObserved).toBe(false);
    const { scale, zeroPoint, observed: seen } = observer.calculateQParams();
    expect([scale.tolist(), zeroPoint.tolist(), seen]).toEqual([[1], [0], false]);
    observer.forward(tensor([1, 2]));
    expect(observer.calculateQParams().observed).toBe(true);
    observer.resetMinMaxVals();
    expect(observer.hasObserved).toBe(false);
  });

  test("placeholders have no parameters, and recorders keep copies", () => {
    expect(() => new o.PlaceholderObserver().calculateQParams()).toThrow(QuantError);
    const recorder = new o.RecordingObserver();
    const x = tensor([1, 2]);
    recorder.forward(x);
    x.data[0] = 5;
    expect(recorder.getTensorValue().map((seen) => seen.tolist())).toEqual([[1, 2]]);
    expect(recorder.stateDict().size).toBe(0);
  });
});
