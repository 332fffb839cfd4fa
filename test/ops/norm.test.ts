/** Normalization: running statistics, purity of the operator, and what is refused. */

import { describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors.ts";
import { batchNorm, batchNormOp } from "../../src/ops/batch-norm.ts";
import { instanceNorm } from "../../src/ops/instance-norm.ts";
import { groupNorm, layerNorm, rmsNorm } from "../../src/ops/norm.ts";
import { dispatch } from "../../src/ops/op.ts";
import { ones, tensor, zeros } from "../../src/tensor/create.ts";

const x = tensor([[1, 10], [3, 20], [8, 30]]); // prettier-ignore

describe("batchNorm", () => {
  it("averages the mean and the unbiased variance into the running statistics", () => {
    const [runningMean, runningVar] = [zeros([2]), ones([2])];
    batchNorm(x, { runningMean, runningVar, training: true, momentum: 0.5 });
    expect(runningMean.tolist()).toEqual([2, 10]);
    expect(runningVar.tolist()).toEqual([0.5 + 0.5 * 13, 0.5 + 0.5 * 100]);
  });

  it("the operator itself changes nothing and returns the new statistics", () => {
    const [mean, variance] = [zeros([2]), ones([2])];
    const outputs = dispatch(batchNormOp, [x, null, null, mean, variance], { training: true, momentum: 0.5, eps: 0 });
    expect(outputs.length).toBe(3);
    expect(outputs[1]!.tolist()).toEqual([2, 10]);
    expect(mean.tolist()).toEqual([0, 0]);
    expect(variance.tolist()).toEqual([1, 1]);
  });

  it("outside training uses the running statistics and leaves them", () => {
    const [runningMean, runningVar] = [tensor([1, 10]), tensor([4, 100])];
    const y = batchNorm(x, { runningMean, runningVar, eps: 0 });
    expect(y.tolist()).toEqual([[0, 0], [1, 1], [3.5, 2]]); // prettier-ignore
    expect(runningMean.tolist()).toEqual([1, 10]);
  });

  it("refuses single values in training, missing statistics, and vectors of the wrong length", () => {
    expect(() => batchNorm(zeros([1, 3]), { training: true })).toThrow(ShapeError);
    expect(() => batchNorm(x)).toThrow(ArgumentError);
    expect(() => batchNorm(x, { training: true, weight: ones([3]) })).toThrow("one element a channel");
    expect(() => batchNorm(zeros([3]), { training: true })).toThrow("[N, C]");
  });
});

describe("other normalizations", () => {
  it("a constant row becomes the bias", () => {
    expect(layerNorm(tensor([[5, 5]]), 2, { bias: tensor([1, 2]) }).tolist()).toEqual([[1, 2]]);
  });

  it("refuse shapes that do not fit", () => {
    expect(() => layerNorm(zeros([2, 3]), [2])).toThrow("normalizedShape");
    expect(() => groupNorm(zeros([2, 3, 4]), 2)).toThrow("multiple of numGroups");
    expect(() => groupNorm(zeros([2, 3, 4]), 0)).toThrow(ArgumentError);
    expect(() => instanceNorm(zeros([2, 3, 1]))).toThrow("more than one element");
    expect(() => instanceNorm(zeros([2, 3, 4]), { useInputStats: false })).toThrow(ArgumentError);
    expect(() => rmsNorm(zeros([2, 3]), 2)).toThrow("normalizedShape");
  });
});
