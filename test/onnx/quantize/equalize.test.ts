/** Cross-layer equalization: the model computes what it did, with channels that use their weights' ranges alike. */

import { describe, expect, test } from "vitest";
import { capture } from "../../../src/graph/index.ts";
import type { GraphModule, Value } from "../../../src/graph/index.ts";
import {
  AvgPool2d,
  Conv2d,
  LeakyReLU,
  Linear,
  MaxPool2d,
  Module,
  ReLU,
  Sequential,
  Sigmoid,
} from "../../../src/nn/index.ts";
import type { AnyModule } from "../../../src/nn/module.ts";
import { crossLayerEqualization } from "../../../src/onnx/quantize/equalize.ts";
import { quantizeOnnx } from "../../../src/onnx/quantize/index.ts";
import { exportOnnx } from "../../../src/onnx/index.ts";
import { manualSeed } from "../../../src/tensor/context.ts";
import { randn } from "../../../src/tensor/create.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { generator } from "./net.ts";

/** Factors are divided and multiplied in float32. */
const SAME_TO = 1e-5;
/** The sweeps end when factors are this near to 1. */
const EVEN_TO = 5e-3;

const x = (): Tensor => randn([4, 3, 8, 8], { generator: generator(2) });

/** Convolutions whose channels are 3^-4 to 3^4 times as large as they were, and the last one's inputs that much smaller. */
function uneven(layers: () => readonly AnyModule[]): GraphModule {
  manualSeed(5);
  const list = layers();
  const convs = list.filter((layer) => layer instanceof Conv2d);
  const factor = (channel: number): number => 3 ** ((channel % 9) - 4);
  for (const { weight } of convs) {
    const [, ins, height, width] = weight.shape as [number, number, number, number];
    const area = height * width;
    const isLast = weight === convs.at(-1)!.weight;
    weight.data.forEach((v: number, i: number) => {
      const channel = Math.floor(i / area);
      weight.data[i] = isLast ? v / factor(channel % ins) : v * factor(Math.floor(channel / ins));
    });
  }
  return capture(new Sequential(...list).eval(), [x()]);
}

async function equalized(model: GraphModule): Promise<GraphModule> {
  const samples = (): Promise<readonly []> => Promise.resolve([]);
  return await crossLayerEqualization.beforeCalibration!(model, { float: model, samples });
}

function weights({ graph }: GraphModule): Tensor[] {
  const layers = graph.nodes.filter(({ target }) => target === "conv2d" || target === "linear");
  return layers.map(({ args }) => graph.tensorOf(args[1] as Value)!);
}

/** Largest absolute weight of each output channel, and of each input channel. */
function ranges({ data, shape }: Tensor): { readonly out: number[]; readonly into: number[] } {
  const [outs, ins] = shape as [number, number];
  const area = data.length / outs / ins;
  const out = new Array<number>(outs).fill(0);
  const into = new Array<number>(ins).fill(0);
  data.forEach((v: number, i: number) => {
    const [o, c] = [Math.floor(i / (area * ins)), Math.floor(i / area) % ins];
    out[o] = Math.max(out[o]!, Math.abs(v));
    into[c] = Math.max(into[c]!, Math.abs(v));
  });
  return { out, into };
}

const plain: readonly (readonly [name: string, between: () => readonly AnyModule[]])[] = [
  ["nothing", () => []],
  ["a relu", () => [new ReLU()]],
  ["a leaky relu and a pool", () => [new LeakyReLU({ negativeSlope: 0.1 }), new MaxPool2d(2)]],
  ["an average", () => [new ReLU(), new AvgPool2d(2)]],
];

describe.each(plain)("with %s between two convolutions", (_, between) => {
  const make = (): GraphModule =>
    uneven(() => [new Conv2d(3, 9, 3), ...between(), new Conv2d(9, 4, 3, { padding: 1 })]);

  test("the results are the same, and a channel has one range in both layers", async () => {
    const before = make();
    const after = await equalized(before);
    const [wanted, got] = [before.run(x()).data, after.run(x()).data];
    const largest = Math.max(...Array.from(wanted, Math.abs));
    wanted.forEach((v: number, i: number) => expect(Math.abs(v - got[i]!)).toBeLessThan(SAME_TO * largest));
    const [first, second] = weights(after).map(ranges);
    first!.out.forEach((range, c) => expect(Math.abs(range / second!.into[c]! - 1)).toBeLessThan(EVEN_TO));
    const [unevenFirst] = weights(before).map(ranges);
    expect(Math.max(...unevenFirst!.out) / Math.min(...unevenFirst!.out)).toBeGreaterThan(100);
  });
});

test("through a depthwise layer the whole chain settles", async () => {
  const depthwise = (): Conv2d => new Conv2d(9, 9, 3, { groups: 9, padding: 1 });
  const before = uneven(() => [new Conv2d(3, 9, 1), new ReLU(), depthwise(), new ReLU(), new Conv2d(9, 4, 1)]);
  const after = await equalized(before);
  const [wanted, got] = [before.run(x()).data, after.run(x()).data];
  const largest = Math.max(...Array.from(wanted, Math.abs));
  wanted.forEach((v: number, i: number) => expect(Math.abs(v - got[i]!)).toBeLessThan(SAME_TO * largest));
  const [first, middle, last] = weights(after).map(ranges);
  first!.out.forEach((range, c) => {
    expect(Math.abs(range / middle!.out[c]! - 1)).toBeLessThan(EVEN_TO);
    expect(Math.abs(last!.into[c]! / middle!.out[c]! - 1)).toBeLessThan(EVEN_TO);
  });
});

test("what is not positively homogeneous, or read twice, is left as it is", async () => {
  const curved = uneven(() => [new Conv2d(3, 9, 3), new Sigmoid(), new Conv2d(9, 4, 3)]);
  expect(weights(await equalized(curved)).map(({ data }) => data)).toEqual(weights(curved).map(({ data }) => data));

  /** The first layer's result goes into two operators. */
  class Twice extends Module<[Tensor], Tensor> {
    first = new Conv2d(3, 3, 3, { padding: 1 });
    second = new Conv2d(3, 3, 3, { padding: 1 });
    override forward(given: Tensor): Tensor {
      const y = this.first.forward(given);
      return this.second.forward(y).add(y);
    }
  }
  const twice = capture(new Twice().eval(), [x()]);
  expect(weights(await equalized(twice)).map(({ data }) => data)).toEqual(weights(twice).map(({ data }) => data));
});

test("per-tensor weights of uneven channels lose much less, and the given model is not touched", async () => {
  const make = (): readonly AnyModule[] => [new Conv2d(3, 9, 3), new ReLU(), new Conv2d(9, 4, 3)];
  const model = uneven(make);
  const file = exportOnnx(model);
  const wanted = model.run(x()).data;
  const errors: number[] = [];
  for (const crossLayer of [false, true]) {
    const options = { weights: { perChannel: false }, biasCorrection: false, crossLayerEqualization: crossLayer };
    const { graph } = await quantizeOnnx(model, [x()], options);
    const got = graph.run(x()).data;
    errors.push(Array.from(wanted, (v, i) => (v - got[i]!) ** 2).reduce((a, b) => a + b, 0));
  }
  expect(errors[1]! * 4).toBeLessThan(errors[0]!);
  expect(exportOnnx(model)).toEqual(file);
});

test("linear layers are equalized too", async () => {
  manualSeed(6);
  const first = new Linear(6, 5);
  first.weight.data.forEach((v: number, i: number) => (first.weight.data[i] = v * 4 ** (Math.floor(i / 6) - 2)));
  const given = randn([7, 6], { generator: generator(3) });
  const before = capture(new Sequential(first, new ReLU(), new Linear(5, 2)).eval(), [given]);
  const after = await equalized(before);
  const [one, two] = weights(after).map(ranges);
  one!.out.forEach((range, c) => expect(Math.abs(range / two!.into[c]! - 1)).toBeLessThan(EVEN_TO));
  before.run(given).data.forEach((v: number, i: number) => expect(after.run(given).data[i]).toBeCloseTo(v, 5));
});
