import { expect, test } from "vitest";
import { Conv2d, Linear, ReLU, Sequential } from "../../src/nn/index.ts";

test("a module prints as its tree, with its settings", () => {
  const net = new Sequential(new Sequential(new Conv2d(3, 8, 3), new ReLU()), new Linear(8, 2));
  const text = net.toString();
  expect(text.split("\n").map((line) => line.replace(/\w+=.*/, "…"))).toEqual([
    "Sequential(",
    "  (0): Sequential(",
    "    (0): Conv2d(…",
    "    (1): ReLU()",
    "  )",
    "  (1): Linear(…",
    ")",
  ]);
  expect(text).toContain("inChannels=3, outChannels=8, kernelSize=[3,3]");
});
