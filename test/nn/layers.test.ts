/** Layers: state that changes with use, layouts, and what is refused. Values are compared with PyTorch in test/golden. */

import { describe, expect, it } from "vitest";
import { ArgumentError, ModuleError, ShapeError } from "../../src/errors.ts";
import * as nn from "../../src/nn/index.ts";
import { ConvAdd2d, ConvBn2d, ConvReLU2d, FusedModule, LinearReLU } from "../../src/nn/intrinsic/index.ts";
import { add } from "../../src/ops/arithmetic.ts";
import { manualSeed } from "../../src/tensor/context.ts";
import { ones, randn, tensor, zeros } from "../../src/tensor/create.ts";

describe("batch normalization layers", () => {
  const x = tensor([[1], [3]]);

  it("count batches, and average equally with momentum null", () => {
    const bn = new nn.BatchNorm1d(1, { momentum: null });
    bn.forward(x);
    bn.forward(add(x, 4));
    expect(bn.numBatchesTracked!.item()).toBe(2);
    expect(bn.runningMean!.item()).toBe(4);
    expect(bn.runningVar!.item()).toBe(2);
    bn.resetRunningStats();
    expect([bn.numBatchesTracked!.item(), bn.runningMean!.item(), bn.runningVar!.item()]).toEqual([0, 0, 1]);
  });

  it("leave their statistics alone outside training", () => {
    const bn = new nn.BatchNorm1d(1).eval();
    bn.forward(x);
    expect(bn.numBatchesTracked!.item()).toBe(0);
    expect(bn.runningMean!.item()).toBe(0);
  });

  it("use the batch's statistics where none are kept", () => {
    const bn = new nn.BatchNorm1d(1, { trackRunningStats: false, affine: false, eps: 0 }).eval();
    expect(bn.forward(x).tolist()).toEqual([[-1], [1]]);
    expect(bn.stateDict().size).toBe(0);
  });

  it("refuse other ranks and channel counts, naming themselves", () => {
    expect(() => new nn.BatchNorm2d(3).forward(zeros([2, 3, 4]))).toThrow("BatchNorm2d");
    expect(() => new nn.BatchNorm2d(3).forward(zeros([2, 4, 4, 4]))).toThrow(ShapeError);
  });
});

describe("recurrent layers", () => {
  it("name parameters as PyTorch", () => {
    const lstm = new nn.LSTM(3, 4, { numLayers: 2, bidirectional: true, projSize: 2 });
    const names = [...lstm.stateDict().keys()];
    expect(names.slice(0, 5)).toEqual(["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0"]);
    expect(names).toContain("weight_ih_l1_reverse");
    expect(lstm.stateDict().get("weight_ih_l1")!.shape).toEqual([16, 4]);
  });

  it("give the same with the batch first or second", () => {
    manualSeed(4);
    const gru = new nn.GRU(3, 4);
    const other = new nn.GRU(3, 4, { batchFirst: true });
    other.loadStateDict(gru.stateDict());
    const x = randn([5, 2, 3]);
    const [y, h] = gru.forward(x);
    const [z, g] = other.forward(x.transpose(0, 1));
    expect(z.transpose(0, 1).tolist()).toEqual(y.tolist());
    expect(g.tolist()).toEqual(h.tolist());
  });

  it("continue from a state: two halves are the whole", () => {
    manualSeed(5);
    const lstm = new nn.LSTM(3, 4);
    const x = randn([6, 2, 3]);
    const [whole, [h]] = lstm.forward(x);
    const [, state] = lstm.forward(x.slice(0, 0, 3));
    const [second, [h2]] = lstm.forward(x.slice(0, 3), state);
    expect(h2.tolist()).toEqual(h.tolist());
    expect(second.tolist()).toEqual(whole.slice(0, 3).tolist());
  });

  it("drop between layers only while training", () => {
    const lstm = new nn.LSTM(3, 4, { numLayers: 2, dropout: 0.5 });
    const x = ones([2, 1, 3]);
    const run = () => JSON.stringify(lstm.forward(x)[0].tolist());
    expect(run()).not.toBe(run());
    lstm.eval();
    expect(run()).toBe(run());
  });

  it("refuse inputs, states and options that do not fit", () => {
    const lstm = new nn.LSTM(3, 4);
    expect(() => lstm.forward(zeros([2, 1, 5]))).toThrow("inputSize = 3");
    expect(() => lstm.forward(zeros([2, 1, 3]), [zeros([2, 1, 4]), zeros([1, 1, 4])])).toThrow("h0");
    expect(() => lstm.forward(zeros([0, 1, 3]))).toThrow("at least one step");
    expect(() => new nn.LSTM(3, 4, { projSize: 4 })).toThrow(ArgumentError);
    expect(() => new nn.GRU(3, 4, { dropout: 2 })).toThrow(ArgumentError);
    expect(() => new nn.GRUCell(3, 4).forward(zeros([1, 2]))).toThrow(ShapeError);
  });
});

describe("other layers", () => {
  it("dropout follows train and eval", () => {
    const drop = new nn.Dropout(0.5);
    const x = ones([100]);
    expect(drop.forward(x).tolist()).not.toEqual(x.tolist());
    expect(drop.eval().forward(x).tolist()).toEqual(x.tolist());
    expect(() => new nn.Dropout(-1)).toThrow(ArgumentError);
  });

  it("transposed convolutions reach a wanted size, or say which they can", () => {
    const up = new nn.ConvTranspose2d(1, 1, 3, { stride: 2, padding: 1 });
    expect(up.forward(zeros([1, 1, 4, 4]), [8, 7]).shape).toEqual([1, 1, 8, 7]);
    expect(() => up.forward(zeros([1, 1, 4, 4]), [9, 7])).toThrow("least = [7, 7]");
  });

  it("refuse options that contradict one another", () => {
    expect(() => new nn.Conv2d(3, 4, 3, { groups: 2 })).toThrow(ArgumentError);
    expect(() => new nn.GroupNorm(2, 3)).toThrow(ArgumentError);
    expect(() => new nn.MultiheadAttention(10, 3)).toThrow("multiple of numHeads");
    expect(() => new nn.MultiheadAttention(4, 2).forward(zeros([2, 1, 4]), zeros([2, 4]), zeros([2, 1, 4]))).toThrow(
      ShapeError,
    );
  });

  it("attention refuses keys without values and masks that do not fit", () => {
    const [attention, q] = [new nn.MultiheadAttention(4, 2), zeros([2, 1, 4])];
    expect(() => attention.forward(q, zeros([3, 1, 4]), q)).toThrow("as many keys as values");
    expect(() => attention.forward(q, q, q, { attnMask: zeros([3, 3]) })).toThrow("attnMask = [3, 3]");
    expect(() => attention.forward(q, q, q, { keyPaddingMask: zeros([2, 2]) })).toThrow("keyPaddingMask");
  });

  it("embeddings take a table as it is", () => {
    const table = tensor([
      [1, 2],
      [3, 4],
    ]);
    const layer = nn.Embedding.fromPretrained(table);
    expect(layer.forward(tensor([1], { dtype: "int64" })).tolist()).toEqual([[3, 4]]);
    expect(layer.weight.requiresGrad).toBe(false);
    expect(nn.EmbeddingBag.fromPretrained(table, { freeze: false, mode: "sum" }).weight.requiresGrad).toBe(true);
  });

  it("losses keep their options", () => {
    const logits = tensor([[2, 0], [0, 1]]); // prettier-ignore
    const target = tensor([0, 1], { dtype: "int64" });
    const sum = new nn.CrossEntropyLoss({ reduction: "sum" }).forward(logits, target).item();
    const mean = new nn.CrossEntropyLoss().forward(logits, target).item();
    expect(sum).toBeCloseTo(2 * mean, 6);
    expect([...new nn.NLLLoss({ weight: ones([2]) }).stateDict().keys()]).toEqual(["weight"]);
  });
});

describe("fused containers", () => {
  it("compute what their parts compute", () => {
    const conv = new nn.Conv2d(1, 2, 3);
    const fused = new ConvReLU2d(conv, new nn.ReLU());
    const x = randn([1, 1, 5, 5]);
    expect(fused.forward(x).tolist()).toEqual(nn.functional.relu(conv.forward(x)).tolist());
    expect(fused).toBeInstanceOf(FusedModule);
    expect([...fused.stateDict().keys()]).toEqual(["0.weight", "0.bias"]);
    expect(new ConvAdd2d(conv).forward(x, ones([1])).tolist()).toEqual(add(conv.forward(x), 1).tolist());
  });

  it("refuse other parts", () => {
    expect(() => new LinearReLU(new nn.Conv2d(1, 1, 1) as unknown as nn.Linear, new nn.ReLU())).toThrow(ModuleError);
    expect(() => new ConvBn2d(new nn.Conv2d(1, 1, 1), new nn.BatchNorm1d(1) as unknown as nn.BatchNorm2d)).toThrow(
      "BatchNorm2d",
    );
  });
});
