/** The kernels against src/optim, which is their reference: the same bits over several steps. */

import { describe, expect, test } from "vitest";
import { Adam } from "../../src/optim/adam.ts";
import { SGD } from "../../src/optim/sgd.ts";
import { tensor } from "../../src/tensor/create.ts";
import { Parameter } from "../../src/tensor/tensor.ts";
import { Lines, engines, floats } from "./support.ts";

const LENGTH = 13;
const STEPS = 3;

function gradientOf(step: number): Float32Array {
  return floats(LENGTH, 20 + step);
}

/** Values of a parameter after a few steps of an optimizer of src/optim. */
function trained(make: (parameter: Parameter) => { step(): void }): Float32Array {
  const parameter = new Parameter(tensor([...floats(LENGTH, 1)]));
  const optimizer = make(parameter);
  for (let step = 0; step < STEPS; step++) {
    parameter.grad = tensor([...gradientOf(step)]);
    optimizer.step();
  }
  return Float32Array.from(parameter.data as Float32Array);
}

describe.each(engines)("$build build: optimizers", (engine) => {
  const { kernels: k, memory } = engine;

  test.each([
    { lr: 0.1, weightDecay: 0, momentum: 0, dampening: 0, nesterov: false },
    { lr: 0.1, weightDecay: 1e-4, momentum: 0.9, dampening: 0, nesterov: false },
    { lr: 0.05, weightDecay: 1e-2, momentum: 0.9, dampening: 0.1, nesterov: false },
    { lr: 0.05, weightDecay: 0, momentum: 0.8, dampening: 0, nesterov: true },
  ])("sgd %o", (options) => {
    Lines.use(engine, LENGTH, (lines) => {
      const [w, m] = [lines.block(floats(LENGTH, 1)), lines.block(new Float32Array(LENGTH))];
      const { lr, weightDecay, momentum, dampening } = options;
      for (let step = 0; step < STEPS; step++) {
        const grad = lines.block(gradientOf(step));
        k.f32_sgd_step(
          LENGTH,
          w,
          grad,
          m,
          lr,
          weightDecay,
          momentum,
          dampening,
          Number(options.nesterov),
          Number(step === 0),
        );
      }
      expect(memory.f32(w, LENGTH).slice()).toEqual(trained((parameter) => new SGD([parameter], options)));
    });
  });

  test.each([
    { lr: 0.01, weightDecay: 0, amsgrad: false, decoupled: false },
    { lr: 0.01, weightDecay: 0.1, amsgrad: false, decoupled: false },
    { lr: 0.02, weightDecay: 0.1, amsgrad: true, decoupled: true },
  ])("adam %o", (options) => {
    const [beta1, beta2, eps] = [0.9, 0.999, 1e-8];
    Lines.use(engine, LENGTH, (lines) => {
      const [w, m, v, peak] = [1, 0, 0, 0].map((start) =>
        lines.block(start ? floats(LENGTH, 1) : new Float32Array(LENGTH)),
      ) as [number, number, number, number];
      const { lr, weightDecay, amsgrad, decoupled } = options;
      for (let step = 1; step <= STEPS; step++) {
        const [size, root] = [lr / (1 - beta1 ** step), Math.sqrt(1 - beta2 ** step)];
        const [decay, shrink] = decoupled ? [0, 1 - lr * weightDecay] : [weightDecay, 1];
        const grad = lines.block(gradientOf(step - 1));
        k.f32_adam_step(LENGTH, w, grad, m, v, amsgrad ? peak : 0, size, root, beta1, beta2, eps, decay, shrink);
      }
      expect(memory.f32(w, LENGTH).slice()).toEqual(trained((parameter) => new Adam([parameter], options)));
    });
  });
});
