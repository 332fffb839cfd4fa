/**
 * `placeStubs`: a plain model made ready for eager quantization.
 *
 * The source is not rewritten. The model is captured with its layers kept as modules under their own paths, and the
 * captured graph is edited; what comes out is a module that prepare, convert and compile take like any other, whose
 * state-dict keys are those of the original (fused layers as fuseModules names them). The edits say what to change in
 * the source for the same effect.
 */

import { QuantError } from "../../errors.ts";
import { PlacedModule } from "./placed-module.ts";
import { flattenTree } from "../../graph/tree.ts";
import { verify } from "../../graph/verify.ts";
import type { AnyModule } from "../../nn/module.ts";
import { getDefaultQConfig, getDefaultQatQConfig } from "../../quantization/qconfig-defaults.ts";
import type { QConfig } from "../../quantization/qconfig.ts";
import { noGrad } from "../../tensor/context.ts";
import { dryRun } from "../analysis/dry.ts";
import { traceUnits } from "../analysis/trace.ts";
import { placeDomains } from "./domains.ts";
import { Owners, editsText } from "./edits.ts";
import type { Edit } from "./edits.ts";
import { fuseSequences, separateCalls } from "./own-modules.ts";

export interface PlaceStubsOptions {
  /**
   * What the model will be quantized with; decides which layers can be (default: getDefaultQConfig(), for training
   * getDefaultQatQConfig()).
   */
  readonly qconfig?: QConfig;
  /** Fuse for training (fuseModulesQat), and leave the model in training mode. */
  readonly isQat?: boolean;
}

export interface PlacedModel {
  readonly model: PlacedModule;
  readonly edits: readonly Edit[];
  /** The edits as a diff. */
  readonly diff: string;
}

/** Folding batch normalization rounds weights once more; relative to the largest output. */
const FLOAT_TOLERANCE = 1e-5;

function outputsOf(model: AnyModule, inputs: readonly unknown[]): readonly ArrayLike<number>[] {
  const callable = model as unknown as { forward(...args: readonly unknown[]): unknown };
  return flattenTree(noGrad(() => callable.forward(...inputs))).leaves.map(({ data }) => data);
}

/** Largest difference of two models' outputs, relative to the largest output. */
function relativeDifference(a: AnyModule, b: AnyModule, inputs: readonly unknown[]): number {
  const [first, second] = [outputsOf(a, inputs), outputsOf(b, inputs)];
  let [largest, difference] = [Number.MIN_VALUE, 0];
  first.forEach((values, i) => {
    for (let j = 0; j < values.length; j++) {
      largest = Math.max(largest, Math.abs(values[j]!));
      difference = Math.max(difference, Math.abs(values[j]! - second[i]![j]!));
    }
  });
  return difference / largest;
}

/**
 * A copy of the model with stubs, FloatFunctionals, fusion and one module a call, equal in float to the original. Give
 * it a qconfig, then prepare, calibrate and convert as usual. Layers that the integer engine has no form for stay float
 * between stubs.
 * @param exampleInputs the arguments of forward; one batch. Its values are run to check that the result is equal.
 * @throws GraphError when the forward cannot be captured; QuantError when the result would differ from the original
 * (calls with arguments that are no tensors, such as masks of attention).
 */
export function placeStubs(
  model: AnyModule,
  exampleInputs: readonly unknown[],
  options: PlaceStubsOptions = {},
): PlacedModel {
  const { isQat = false, qconfig = isQat ? getDefaultQatQConfig() : getDefaultQConfig() } = options;
  const original = model.clone().eval();
  const { trace, failure } = traceUnits(original, exampleInputs);
  if (failure) throw failure;
  const { graph } = trace;
  const owners = new Owners(trace.model);
  const edits = [...separateCalls(graph, owners), ...fuseSequences(graph, isQat, owners)];
  graph.collectGarbage();
  const placed = new PlacedModule(graph);
  placed.qconfig = qconfig;
  placed.train(isQat);
  edits.push(...placeDomains(graph, dryRun(placed, isQat ? "qat" : "static"), owners));
  delete placed.qconfig;
  graph.collectGarbage();
  verify(graph);
  placed.eval();
  const difference = relativeDifference(original, placed, exampleInputs);
  if (!(difference <= FLOAT_TOLERANCE)) {
    throw new QuantError(
      "placeStubs",
      { difference },
      "the placed model does not equal the original on the example inputs",
      "Calls of layers may only have tensors as arguments",
    );
  }
  return { model: isQat ? placed.train() : placed, edits, diff: editsText(edits) };
}
