/**
 * Gradients against central differences, in float64: (L(x + h) - L(x - h)) / 2h for every element of every input.
 *
 * L is a weighted sum of all outputs, with weights that no symmetry can hide behind. The same check applied to
 * the gradient itself, as a function of the inputs and of the weights, proves that rules can be differentiated
 * again and that the operators they are made of have right gradients.
 */

import { grad } from "../../src/autograd/backward.ts";
import { tapeNodeOf } from "../../src/autograd/tape.ts";
import { add, mul } from "../../src/ops/arithmetic.ts";
import { sum } from "../../src/ops/reduce.ts";
import { enableGrad, noGrad } from "../../src/tensor/context.ts";
import { full, zeros } from "../../src/tensor/create.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

/** A power of two, so that adding it to a short binary fraction is exact. */
const STEP = 2 ** -17;
const ABSOLUTE = 1e-7;
const RELATIVE = 1e-6;

export type Differentiable = (...inputs: readonly Tensor[]) => Tensor | readonly Tensor[];

/** What a check found: the first wrong element as a sentence, and the operators whose rules were applied. */
export interface GradientReport {
  readonly failure: string | null;
  readonly ops: ReadonlySet<string>;
}

function floatOutputs(result: Tensor | readonly Tensor[]): Tensor[] {
  return (result instanceof Tensor ? [result] : [...result]).filter(({ dtype }) => isFloat(dtype));
}

/** Weights of an output: irregular, of both signs, none near zero. */
function weightsFor(output: Tensor, k: number): Tensor {
  const weights = zeros(output.shape, { dtype: "float64" });
  for (let i = 0; i < weights.numel; i++) weights.data[i] = (i % 2 ? -1 : 1) * (0.5 + ((i * 0.618 + k * 0.377) % 1));
  return weights;
}

function weighted(outputs: readonly Tensor[], weights: readonly Tensor[]): Tensor {
  const start = full([], 0, { dtype: "float64" });
  return outputs.reduce((total, output, k) => add(total, sum(mul(output, weights[k]!))), start);
}

/** Names of all operators `root` was computed with, where a gradient flows. */
function recordedOps(root: Tensor): Set<string> {
  const seen = new Set<Tensor>([root]);
  const names = new Set<string>();
  for (const tensor of seen) {
    const node = tapeNodeOf(tensor);
    if (!node) continue;
    names.add(node.opName);
    for (const input of node.inputs) if (input instanceof Tensor && input.requiresGrad) seen.add(input);
  }
  return names;
}

function leaves(inputs: readonly Tensor[]): Tensor[] {
  return inputs.map((input) => input.copy().requireGrad());
}

/** Gradients of the weighted outputs for every input, zeros where there is no dependence. */
function gradientsOf(f: Differentiable, inputs: readonly Tensor[], weights: readonly Tensor[], createGraph: boolean) {
  const loss = weighted(floatOutputs(f(...inputs)), weights);
  const found = loss.requiresGrad ? grad(loss, inputs, { createGraph }) : inputs.map(() => null);
  return { loss, gradients: inputs.map((input, i) => found[i] ?? zeros(input.shape, { dtype: "float64" })) };
}

function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= ABSOLUTE + RELATIVE * Math.max(Math.abs(a), Math.abs(b));
}

/** Checks the first gradient of `f` at `inputs` (float64). */
export function checkFirst(f: Differentiable, inputs: readonly Tensor[]): GradientReport {
  const own = leaves(inputs);
  const weights = noGrad(() => floatOutputs(f(...inputs)).map(weightsFor));
  const { loss, gradients } = gradientsOf(f, own, weights, false);
  // Gradients may themselves be what f computes, so they are recorded here too; only the tape is thrown away.
  const lossAt = (): number => weighted(floatOutputs(f(...own)), weights).item();
  let failure: string | null = null;
  own.forEach((input, k) => {
    for (let i = 0; i < input.numel && failure === null; i++) {
      const at = input.data[i]!;
      input.data[i] = at + STEP;
      const above = lossAt();
      input.data[i] = at - STEP;
      const below = lossAt();
      input.data[i] = at;
      const expected = (above - below) / (2 * STEP);
      const got = gradients[k]!.data[i]!;
      if (!near(got, expected)) failure = `input ${k}[${i}] = ${at}: the rule gives ${got}, differences ${expected}`;
    }
  });
  return { failure, ops: recordedOps(loss) };
}

/** Checks the gradient of the gradient of `f`, for the inputs and for the gradient that comes from above. */
export function checkSecond(f: Differentiable, inputs: readonly Tensor[]): GradientReport {
  const weights = noGrad(() => floatOutputs(f(...inputs)).map(weightsFor));
  const count = inputs.length;
  const gradient: Differentiable = (...all) =>
    enableGrad(() => gradientsOf(f, all.slice(0, count), all.slice(count), true).gradients);
  return checkFirst(gradient, [...inputs, ...weights]);
}
