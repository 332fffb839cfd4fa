/** Captured layers compute what the layers compute, buffers included, and a training step works for any batch. */

import { describe, expect, it } from "vitest";
import * as nn from "../../src/nn/index.ts";
import type { AnyModule } from "../../src/nn/index.ts";
import { grad } from "../../src/autograd/backward.ts";
import { capture } from "../../src/graph/capture.ts";
import { manualSeed, noGrad } from "../../src/tensor/context.ts";
import { randn } from "../../src/tensor/create.ts";
import type { Shape } from "../../src/tensor/shape.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

type Callable = AnyModule & { forward(...args: readonly unknown[]): unknown };

function flat(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  return Array.isArray(value) ? value.flatMap(flat) : [];
}

/** Outputs and state after one call, with the same random numbers each time. */
function run(module: AnyModule, owner: AnyModule, inputs: readonly Tensor[]): { outputs: unknown[]; state: unknown[] } {
  manualSeed(2);
  const outputs = flat(noGrad(() => (module as Callable).forward(...inputs)));
  return {
    outputs: outputs.map((y) => y.tolist()),
    state: [...owner.stateDict().values()].map((value) => value.tolist()),
  };
}

function expectSame(module: AnyModule, shapes: readonly Shape[]): void {
  const inputs = shapes.map((shape) => randn(shape));
  const graph = capture(module, inputs);
  const before = new Map([...module.stateDict()].map(([key, value]) => [key, value.copy()]));
  const eager = run(module, module, inputs);
  module.loadStateDict(before);
  expect(run(graph as unknown as AnyModule, module, inputs)).toEqual(eager);
}

const { Sequential } = nn;
const models: [string, AnyModule, Shape[]][] = [
  [
    "a network in training",
    new Sequential(new nn.Conv2d(1, 4, 3, { padding: 1 }), new nn.BatchNorm2d(4), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Dropout(0.3), new nn.Flatten(), new nn.Linear(36, 5)),
    [[2, 1, 6, 6]],
  ],
  [
    "a network in use",
    new Sequential(new nn.Conv2d(1, 4, [2, 4], { padding: "same" }), new nn.BatchNorm2d(4), new nn.AvgPool2d(2), new nn.Dropout(0.3), new nn.AdaptiveAvgPool2d(1)).eval(),
    [[2, 1, 6, 6]],
  ],
  [
    "norms and resizing",
    new Sequential(new nn.GroupNorm(2, 4), new nn.LayerNorm([4, 4]), new nn.LocalResponseNorm(3), new nn.RMSNorm(4), new nn.PixelShuffle(2), new nn.Upsample({ scaleFactor: 2, mode: "bilinear" }), new nn.ConvTranspose2d(1, 2, 3)),
    [[2, 4, 4, 4]],
  ],
  ["instance norm with statistics", new nn.InstanceNorm2d(3, { affine: true, trackRunningStats: true }), [[2, 3, 4, 4]]],
  ["LSTM", new nn.LSTM(3, 4, { numLayers: 2, bidirectional: true, batchFirst: true }), [[2, 3, 3]]],
  ["GRU", new nn.GRU(3, 4), [[3, 2, 3]]],
  ["multi-head attention", new nn.MultiheadAttention(8, 2), [[3, 2, 8], [4, 2, 8], [4, 2, 8]]],
  ["transformer layer", new nn.TransformerEncoderLayer(8, 2, { dimFeedforward: 16 }), [[3, 2, 8]]],
]; // prettier-ignore

describe("captured layers", () => {
  it.each(models)("%s", (_, module, shapes) => expectSame(module, shapes));
});

/** Gradients of half the squared output of a network for its weights, as a module, so that the backward pass is captured too. */
class Gradients extends nn.Module<[Tensor], Tensor[]> {
  net = new Sequential(
    new nn.Conv2d(1, 3, 3),
    new nn.BatchNorm2d(3),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.AvgPool2d(2),
    new nn.Upsample({ scaleFactor: 2 }),
  );
  first = new nn.Conv2d(1, 1, 3, { padding: 1 });

  forward(x: Tensor): Tensor[] {
    const y = this.net.forward(this.first.forward(x));
    return grad(y, this.parameters(), { gradient: y }).map((gradient) => gradient!);
  }
}

it("captures a backward pass that serves other batch sizes", () => {
  const module = new Gradients();
  const graph = capture(module, [randn([2, 1, 10, 10])]);
  const x = randn([5, 1, 10, 10]);
  const before = new Map([...module.stateDict()].map(([key, value]) => [key, value.copy()]));
  const expected = module.forward(x).map((gradient) => gradient.tolist());
  module.loadStateDict(before);
  expect(flat(graph.forward(x)).map((gradient) => gradient.tolist())).toEqual(expected);
});
