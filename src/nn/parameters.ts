/**
 * The initial parameters most layers share: weight and bias uniform in +-1/sqrt(fanIn), PyTorch's default.
 */

import { zeros } from "../tensor/create.ts";
import type { Shape } from "../tensor/shape.ts";
import { Parameter } from "../tensor/tensor.ts";
import { fans, uniform } from "./init.ts";

/** A float32 parameter of zeros, to be filled. */
export function emptyParameter(shape: Shape): Parameter {
  return new Parameter(zeros(shape));
}

/** A parameter uniform in -bound..bound. */
export function uniformParameter(shape: Shape, bound: number): Parameter {
  return uniform(emptyParameter(shape), -bound, bound);
}

/** Weight and bias uniform in +-1/sqrt(fan in of the weight); what kaimingUniform with a = sqrt(5) comes to. */
export function fanInParameters(shape: Shape, biasSize: number | null): { weight: Parameter; bias: Parameter | null } {
  const weight = emptyParameter(shape);
  const { fanIn } = fans(weight);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  uniform(weight, -bound, bound);
  return { weight, bias: biasSize === null ? null : uniformParameter([biasSize], bound) };
}
