/** What tests of compiled graphs share: run by every build, and by two threads, against the interpreter. */

import { expect } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import { hasRelaxedSimd } from "../../src/engine/probe.ts";
import { capture } from "../../src/graph/capture.ts";
import type { GraphModule } from "../../src/graph/graph-module.ts";
import { Module } from "../../src/nn/module.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Largest error, relative to the largest value (at least 1), that float kernels may make in the small networks of tests. */
export const FLOAT_BUDGET = 2e-6;

const builds = hasRelaxedSimd() ? (["simd", "relaxed"] as const) : (["simd"] as const);

/** An engine for each build, and one of two threads. */
export const engines: readonly Engine[] = [
  ...builds.map((build) => new Engine({ build, winograd: false })),
  new Engine({ threads: 2, winograd: false }),
];

/** A function as a module. */
export function moduleOf(forward: (...inputs: Tensor[]) => Tensor): Module<Tensor[], Tensor> {
  class Fn extends Module<Tensor[], Tensor> {
    forward(...inputs: Tensor[]): Tensor {
      return forward(...inputs);
    }
  }
  return new Fn();
}

/** Floats within the budget, all else equal. */
export function expectSame(given: Tensor, expected: Tensor, budget = FLOAT_BUDGET): void {
  expect([given.dtype, given.shape, given.qparams]).toEqual([expected.dtype, expected.shape, expected.qparams]);
  if (expected.dtype !== "float32") {
    expect(given.data).toEqual(expected.data);
    return;
  }
  let [worst, scale] = [0, 1];
  expected.data.forEach((want, i) => {
    const got = given.data[i]!;
    if (Number.isFinite(want)) {
      scale = Math.max(scale, Math.abs(want));
      worst = Math.max(worst, Math.abs(got - want));
    } else expect(got).toEqual(want);
  });
  expect(worst / scale).toBeLessThanOrEqual(budget);
}

/**
 * Compiles without fallback, for every engine, and compares with the graph interpreted (lowered, where that is given).
 * Returns the kernels used.
 */
export function expectCompiled(
  graph: GraphModule,
  inputs: readonly (readonly Tensor[])[],
  { budget = FLOAT_BUDGET, reference = graph } = {},
): string[] {
  let kernels: string[] = [];
  for (const engine of engines) {
    const executable = compile(graph, { engine });
    for (const given of inputs) expectSame(executable.runOne(...given), reference.run(...given), budget);
    kernels = executable.explain(inputs[0]!, { repeats: 1 }).steps.map(({ kernel }) => kernel);
    executable.dispose();
  }
  return kernels;
}

/** The same of a function captured with `inputs`. */
export function expectCompiledFn(
  forward: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  budget = FLOAT_BUDGET,
): string[] {
  return expectCompiled(capture(moduleOf(forward), [...inputs]), [inputs], { budget });
}
