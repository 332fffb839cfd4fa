/**
 * Converted PT2E programs on the integer engine: the compiled program gives, bit for bit, what the lowered graph gives
 * when it is interpreted (products left in float sum in another order), and that is torchao's result but for single
 * steps at ties.
 */

import { describe, expect, it } from "vitest";
import { Executable } from "../../../src/compile/index.ts";
import { inferencePasses, prepareGraph } from "../../../src/compile/prepare.ts";
import { capture, flattenTree, interpret, printGraph } from "../../../src/graph/index.ts";
import type { GraphModule } from "../../../src/graph/index.ts";
import { runPasses } from "../../../src/graph/rewrite.ts";
import { convertPt2e, preparePt2e } from "../../../src/quantization/pt2e/index.ts";
import { noGrad } from "../../../src/tensor/context.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { EXACT, expectTensor } from "../compare.ts";
import { caseNames, loadCase, loadModel } from "./load.ts";
import { makeQuantizer } from "./pt2e-quantizers.ts";

/** Float products and sums in the engine's order, relative to the largest value. */
const FLOAT = { relative: 1e-5, ofLargest: 2e-6 };
/** Kernels whose float32 sums are in another order than the reference's. */
const FLOAT_SUMS = /gemm|conv|winograd|softmax|[nN]orm|pool|sigmoid|tanh|silu|gelu|attention|mean|sum/;
/** dB between the lowered program's results and torchao's: single steps of 8 bits. */
const MIN_SQNR = 40;

function sqnr(actual: Tensor, expected: Tensor): number {
  const energy = (values: readonly number[]): number => values.reduce((sum, v) => sum + v * v, 0);
  return 10 * Math.log10(energy([...expected.data]) / energy([...expected.data].map((v, i) => v - actual.data[i]!)));
}

function converted(name: string): { module: GraphModule; test: readonly Tensor[]; outputs: readonly Tensor[] } {
  const golden = loadCase("pt2e", name);
  const { model, calibration, test } = loadModel(golden.case.model);
  const graph = preparePt2e(capture(model, calibration[0]!), makeQuantizer(golden.case["quantizer"]));
  noGrad(() => calibration.forEach((batch) => graph.forward(...batch)));
  const module = convertPt2e(graph, { foldQuantize: golden.case["foldQuantize"] !== false });
  return { module, test, outputs: flattenTree(golden.programs["converted"]!.output).leaves };
}

const names = caseNames("pt2e").filter((name) => !/^error|reference-representation|non-strict|inplace/.test(name));
const int8Products = new Map<string, number>();

describe("compiled PT2E programs", () => {
  it.each(names)("%s", (name) => {
    const { module, test, outputs } = converted(name);
    const lowered = prepareGraph(module.graph);
    const verified = runPasses(module.graph.cloneWithMap().graph, inferencePasses);
    expect(printGraph(lowered)).toBe(printGraph(verified));
    const interpreted = interpret(lowered, test);
    const executable = new Executable(module.graph, { fallback: "reference", allowWinograd: false });
    const compiled = flattenTree(executable.run(...test)).leaves;
    const { steps } = executable.explain(test, { repeats: 1 });
    executable.dispose();
    int8Products.set(name, steps.filter(({ precision, operations }) => precision === "int8" && operations > 0).length);
    const isInteger = steps.every(({ precision, kernel }) => precision !== "float" || !FLOAT_SUMS.test(kernel));
    interpreted.forEach((result, i) => {
      expectTensor(compiled[i]!, result, isInteger ? EXACT : FLOAT, `${name}[${i}]`);
      expect(sqnr(result, outputs[i]!), `${name}[${i}]: dB`).toBeGreaterThan(MIN_SQNR);
    });
  });

  it("run their products in integers", () => {
    const counts = Object.fromEntries(["xnnpack-small-cnn", "xnnpack-per-channel-res-block", "xnnpack-depthwise", "x86-mlp"].map((name) => [name, int8Products.get(name)]));
    expect(counts).toEqual({ "xnnpack-small-cnn": 3, "xnnpack-per-channel-res-block": 3, "xnnpack-depthwise": 4, "x86-mlp": 2 });
  });
});
