/** Losses and their gradients against PyTorch's vectors. */

import { describe, it } from "vitest";
import { crossEntropy } from "../../src/ops/loss-classes.ts";
import { binaryCrossEntropy, l1Loss, mseLoss } from "../../src/ops/loss.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { table, tensorAt, tensorOr } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { loadGolden } from "./load.ts";
import { checkOperator } from "./operators.ts";
import type { Call } from "./operators.ts";

/** Logarithms and means of some twenty float32 values. */
const LOSSES: Budget = { absolute: 5e-7, relative: 1e-6 };

function loss(f: (input: Tensor, target: Tensor, options: object) => Tensor): Call {
  return (inputs, attrs) => f(tensorAt(inputs, "input"), tensorAt(inputs, "target"), { ...attrs, weight: tensorOr(attrs, "weight", null) });
}

const calls: Readonly<Record<string, Call>> = {
  crossEntropy: loss(crossEntropy),
  mseLoss: loss(mseLoss),
  l1Loss: loss(l1Loss),
  binaryCrossEntropy: loss(binaryCrossEntropy),
};

describe("losses", () => {
  const cases = loadGolden("training").cases.filter(({ op }) => op in calls);
  it.each(table(cases))("%s", (_, one) => checkOperator(one, calls[one.op]!, LOSSES));
});
