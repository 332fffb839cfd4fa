import { expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { compile } from "../../src/compile/index.ts";
import { capture } from "../../src/graph/capture.ts";
import { Module } from "../../src/nn/module.ts";
import { Conv2d } from "../../src/nn/index.ts";
import { conv2d, relu } from "../../src/ops/index.ts";
import { HistogramObserver } from "../../src/quantization/observers/histogram.ts";
import {
  MinMaxObserver,
  MovingAverageMinMaxObserver,
  PerChannelMinMaxObserver,
} from "../../src/quantization/observers/min-max.ts";
import { RecordingObserver } from "../../src/quantization/observers/passive.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { full, randn, zeros } from "../../src/tensor/create.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

manualSeed(4);

/** Observes its input and what relu leaves of it, behind a border that a convolution needs. */
class Watched extends Module {
  input: Module;
  output: Module;
  conv = new Conv2d(3, 4, 3, { padding: 1 });

  constructor(make: () => Module) {
    super();
    this.input = make();
    this.output = make();
  }

  forward(x: Tensor): Tensor {
    const y = this.output.forward(relu(this.input.forward(x)));
    return conv2d(y, this.conv.weight, null, { padding: 1 });
  }
}

const kinds: [string, () => Module][] = [
  ["HistogramObserver", () => new HistogramObserver()],
  ["MinMaxObserver", () => new MinMaxObserver()],
  ["MovingAverageMinMaxObserver", () => new MovingAverageMinMaxObserver()],
];

const batches = [randn([2, 3, 5, 6]), randn([1, 3, 5, 6]), full([2, 3, 5, 6], 7), zeros([1, 3, 5, 6])];
batches.push(randn([3, 3, 5, 6]).assign(randn([3, 3, 5, 6]).data.map((v, i) => (i === 40 ? Infinity : v * 3))));

test.each(kinds)("%s compiled has the state it has interpreted, bit for bit", (_, make) => {
  const [interpreted, compiled] = [new Watched(make), new Watched(make)];
  const reference = capture(interpreted, [batches[0]!]);
  const executable = compile(capture(compiled, [batches[0]!]));
  for (const batch of batches) {
    reference.run(batch);
    executable.run(batch);
  }
  for (const key of ["input", "output"] as const) {
    const state = compiled[key].stateDict();
    for (const [name, value] of interpreted[key].stateDict())
      expect(state.get(name)!.data, `${key}.${name}`).toEqual(value.data);
  }
  const steps = executable.explain([batches[0]!]).steps;
  expect(steps.filter((step) => step.kernel.startsWith("observe"))).toHaveLength(2);
});

test("two threads observe what one does, and the image behind an observer keeps the border its reader needs", () => {
  const engine = new Engine({ threads: 2 });
  const [one, two] = [new Watched(() => new HistogramObserver()), new Watched(() => new HistogramObserver())];
  const single = compile(capture(one, [batches[0]!]));
  const shared = compile(capture(two, [batches[0]!]), { engine });
  const wide = [randn([8, 3, 80, 90]), randn([8, 3, 80, 90])];
  const [small, large] = [compile(capture(one, [wide[0]!])), compile(capture(two, [wide[0]!]), { engine })];
  for (const batch of batches) [single, shared].forEach((executable) => executable.run(batch));
  for (const batch of wide) [small, large].forEach((executable) => executable.run(batch));
  const state = two.stateDict();
  for (const [name, value] of one.stateDict())
    if (!name.startsWith("conv")) expect(state.get(name)!.data, name).toEqual(value.data);
  expect(single.explain([batches[0]!]).steps.some((step) => step.kernel === "copy into border")).toBe(false);
  engine.dispose();
});

test("observers that need the values are handed them, and weights are observed as stored", () => {
  class Net extends Module {
    recorder = new RecordingObserver();
    weights = new PerChannelMinMaxObserver({ dtype: "qint8", qscheme: "per_channel_symmetric" });
    conv = new Conv2d(3, 4, 3);

    forward(x: Tensor): Tensor {
      return this.recorder.forward(conv2d(x, this.weights.forward(this.conv.weight), null));
    }
  }
  const net = new Net();
  const executable = compile(net, { exampleInputs: [batches[0]!] });
  const y = executable.runOne(batches[0]!);
  expect(net.recorder.getTensorValue()[0]!.data).toEqual(y.data);
  expect(net.weights.minVal.shape).toEqual([4]);
});

test("NaN is refused as it is outside", () => {
  const net = new Watched(() => new HistogramObserver());
  const bad = full([1, 3, 5, 6], NaN);
  const executable = compile(net, { exampleInputs: [bad] });
  expect(() => executable.run(bad)).toThrow(/NaN/);
});
