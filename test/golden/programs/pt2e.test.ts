/**
 * PT2E against torchao: the same observers in the same places, sharing alike; the same quantize and dequantize nodes
 * with the same parameters; the same integers for the test input, and the same results.
 */

import { describe, expect, it } from "vitest";
import { FewbitError } from "../../../src/errors.ts";
import { capture, flattenTree, interpret } from "../../../src/graph/index.ts";
import type { GraphModule, Node } from "../../../src/graph/index.ts";
import { convertPt2e, preparePt2e } from "../../../src/quantization/pt2e/index.ts";
import { noGrad } from "../../../src/tensor/context.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { expectNumbers, expectTensor } from "../compare.ts";
import { caseNames, loadCase, loadModel } from "./load.ts";
import type { ProgramCase } from "./load.ts";
import { makeQuantizer } from "./pt2e-quantizers.ts";
import { formOfGraph, formOfProgram } from "./shape.ts";

/** Products and sums of float32 in another order, relative to the largest value. */
const FLOAT = { relative: 1e-5, ofLargest: 2e-6 };
/** Scales observed behind such sums: 2 ulp (golden/programs/README.md). */
const SCALE = { relative: 2.4e-7 };

/** torchao leaves the scalar operands of in-place sums as they are; fewbit has no in-place operators. */
const inPlace = ["xnnpack-inplace-relu"];

function prepared(name: string): { prepared: GraphModule; test: readonly Tensor[]; golden: ProgramCase } {
  const golden = loadCase("pt2e", name);
  const { model, calibration, test } = loadModel(golden.case.model);
  const quantizer = makeQuantizer(golden.case["quantizer"]);
  if (inPlace.includes(name)) quantizer.transformForAnnotation = () => undefined;
  const graph = preparePt2e(capture(model, calibration[0]!), quantizer);
  noGrad(() => calibration.forEach((batch) => graph.forward(...batch)));
  return { prepared: graph, test, golden };
}

/** Runs the graph and adds up the integers of its quantize nodes. */
function runAndSum(module: GraphModule, inputs: readonly Tensor[]): { outputs: Tensor[]; sums: Map<Node, number> } {
  const sums = new Map<Node, number>();
  const outputs = interpret(module.graph, inputs, {
    onNode(node, [result]) {
      if (node.kind === "operator" && node.target.startsWith("decomposedQuantize")) sums.set(node, [...result!.data].reduce((total, q) => total + q, 0));
    },
  });
  return { outputs, sums };
}

const names = caseNames("pt2e");
const refused = names.filter((name) => name.startsWith("error-"));
const references = names.filter((name) => name.startsWith("reference-representation"));
/** torch.export's default mode loses where an operator came from, so that torchao leaves concatenations and pools out; fewbit's capture always knows, and gives the strict program. */
const nonStrict = names.filter((name) => name.includes("non-strict"));
const programs = names.filter((name) => ![...refused, ...references, ...nonStrict].includes(name));

describe("PT2E gives torchao's programs", () => {
  it.each(programs)("%s", (name) => {
    const { prepared: observed, test, golden } = prepared(name);
    expect(formOfGraph(observed).lines).toEqual(formOfProgram(golden.programs["prepared"]!).lines);
    const converted = convertPt2e(observed, { foldQuantize: golden.case["foldQuantize"] !== false });
    const { outputs, sums } = runAndSum(converted, test);
    const actual = formOfGraph(converted, sums);
    const expected = formOfProgram(golden.programs["converted"]!);
    expect(actual.lines).toEqual(expected.lines);
    expected.parameters.forEach(({ scale, zeroPoint }, i) => {
      expectNumbers(actual.parameters[i]!.scale, scale, SCALE, `scale ${i}`);
      expectNumbers(actual.parameters[i]!.zeroPoint, zeroPoint, SCALE, `zero point ${i}`);
    });
    expect(actual.sums).toEqual(expected.sums);
    flattenTree(golden.programs["converted"]!.output).leaves.forEach((output, i) => expectTensor(outputs[i]!, output, FLOAT, `${name}[${i}]`));
  });

  it.each(nonStrict)("%s: as in strict mode", (name) => {
    const { prepared: observed } = prepared(name);
    const strict = prepared(name.replace("non-strict-", ""));
    expect(formOfGraph(convertPt2e(observed)).lines).toEqual(formOfProgram(strict.golden.programs["converted"]!).lines);
  });

  it.each(references)("%s", (name) => {
    const { prepared: observed, test, golden } = prepared(name);
    const converted = convertPt2e(observed, { useReferenceRepresentation: true });
    expect(converted.graph.nodes.filter(({ target }) => /^decomposed(De)?[Qq]uantize/.test(target))).toEqual([]);
    const outputs = flattenTree(converted.forward(...test)).leaves;
    flattenTree(golden.programs["converted"]!.output).leaves.forEach((output, i) => expectNumbers(outputs[i]!.data, (output).data, FLOAT, `${name}[${i}]`));
  });

  it.each(refused)("%s is refused", (name) => {
    expect(() => convertPt2e(prepared(name).prepared)).toThrow(FewbitError);
  });
});
