/**
 * LSTM, GRU and RNN, unrolled over time. ONNX stacks gates in its own order (LSTM i o f c, GRU z r h) and keeps the
 * directions in an axis; activations may be named a direction, and sequences may end early.
 */

import { leakyRelu, relu } from "../../ops/activation-linear.ts";
import { elu, sigmoid, softplus, softsign } from "../../ops/activation-smooth.ts";
import { add, mul, sub } from "../../ops/arithmetic.ts";
import { stack } from "../../ops/cat.ts";
import { clamp } from "../../ops/clamp.ts";
import { linear } from "../../ops/linear.ts";
import { permute } from "../../ops/shape.ts";
import { chunk, select, slice } from "../../ops/slicing.ts";
import { tanh } from "../../ops/unary.ts";
import { where } from "../../ops/where.ts";
import { fromArray } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule, valuesOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";

type Activation = (x: Tensor) => Tensor;

const activations: Readonly<Record<string, (alpha: number | undefined, beta: number | undefined) => Activation>> = {
  sigmoid: () => sigmoid,
  tanh: () => tanh,
  relu: () => relu,
  affine:
    (alpha = 1, beta = 0) =>
    (x) =>
      add(mul(x, alpha), beta),
  leakyrelu:
    (alpha = 0.01) =>
    (x) =>
      leakyRelu(x, { negativeSlope: alpha }),
  scaledtanh:
    (alpha = 1, beta = 1) =>
    (x) =>
      mul(tanh(mul(x, beta)), alpha),
  hardsigmoid:
    (alpha = 0.2, beta = 0.5) =>
    (x) =>
      clamp(add(mul(x, alpha), beta), 0, 1),
  elu:
    (alpha = 1) =>
    (x) =>
      elu(x, { alpha }),
  softsign: () => softsign,
  softplus: () => softplus,
};

interface Cell {
  readonly x: Tensor;
  readonly h: Tensor;
  readonly c: Tensor | null;
  readonly w: Tensor;
  readonly r: Tensor;
  readonly wb: Tensor | null;
  readonly rb: Tensor | null;
  readonly peephole: Tensor | null;
  readonly f: readonly Activation[];
}

type Step = (cell: Cell, call: Call) => { h: Tensor; c: Tensor | null };

function clipped(call: Call, x: Tensor): Tensor {
  return call.has("clip") ? clamp(x, -call.float("clip"), call.float("clip")) : x;
}

const rnnStep: Step = ({ x, h, w, r, wb, rb, f }, call) => ({
  h: f[0]!(clipped(call, add(linear(x, w, wb), linear(h, r, rb)))),
  c: null,
});

// h' = (1 - z) n + z h; the reset gate meets h before or after the product
const gruStep: Step = ({ x, h, w, r, wb, rb, f }, call) => {
  const [zx, rx, nx] = chunk(linear(x, w, wb), 3, -1);
  const size = h.shape.at(-1)!;
  const gates = linear(h, slice(r, 0, 0, 2 * size), rb && slice(rb, 0, 0, 2 * size));
  const [zh, rh] = chunk(gates, 2, -1);
  const z = f[0]!(clipped(call, add(zx!, zh!)));
  const reset = f[0]!(clipped(call, add(rx!, rh!)));
  const [rn, bn] = [slice(r, 0, 2 * size), rb && slice(rb, 0, 2 * size)];
  const after = call.int("linear_before_reset") !== 0;
  const nh = after ? mul(reset, linear(h, rn, bn)) : linear(mul(reset, h), rn, bn);
  const n = f[1]!(clipped(call, add(nx!, nh)));
  return { h: add(mul(sub(1, z), n), mul(z, h)), c: null };
};

const lstmStep: Step = ({ x, h, c, w, r, wb, rb, peephole, f }, call) => {
  const [i, o, forget, cell] = chunk(add(linear(x, w, wb), linear(h, r, rb)), 4, -1);
  const [pi, po, pf] = peephole ? chunk(peephole, 3, 0) : [];
  const peek = (gate: Tensor, p: Tensor | undefined, state: Tensor): Tensor =>
    clipped(call, p ? add(gate, mul(p, state)) : gate);
  const input = f[0]!(peek(i!, pi, c!));
  const keep = call.int("input_forget") !== 0 ? sub(1, input) : f[0]!(peek(forget!, pf, c!));
  const next = add(mul(keep, c!), mul(input, f[1]!(clipped(call, cell!))));
  const out = f[0]!(peek(o!, po, next));
  return { h: mul(out, f[2]!(next)), c: next };
};

function activationsOf(call: Call, defaults: readonly string[], direction: number): Activation[] {
  const names = call.strings("activations");
  const [alphas, betas] = [call.floats("activation_alpha"), call.floats("activation_beta")];
  return defaults.map((fallback, i) => {
    const at = direction * defaults.length + i;
    const name = (names?.[at] ?? fallback).toLowerCase();
    const make = activations[name] ?? call.fail("an unknown activation", { name });
    return make(alphas?.[at], betas?.[at]);
  });
}

/** One direction over x [L, N, input]: all outputs in the order of the input, and the last state. */
function direction(call: Call, step: Step, d: number, reverse: boolean, defaults: readonly string[]) {
  const x = call.int("layout") === 1 ? permute(call.input(0), [1, 0, 2]) : call.input(0);
  const [length, batch] = x.shape as [number, number];
  const [w, r] = [select(call.input(1), 0, d), select(call.input(2), 0, d)];
  const bias = call.optional(3);
  const [wb, rb] = bias ? chunk(select(bias, 0, d), 2, 0) : [null, null];
  const lengths = call.optional(4);
  const ends = lengths ? valuesOf(lengths) : null;
  const size = r.shape[1]!;
  const initial = (i: number): Tensor => {
    const given = call.optional(i);
    if (!given) return call.filled([batch, size], 0, x.dtype);
    return select(call.int("layout") === 1 ? permute(given, [1, 0, 2]) : given, 0, d);
  };
  const isLstm = step === lstmStep;
  const peephole = call.optional(7);
  const shared = {
    w,
    r,
    wb: wb ?? null,
    rb: rb ?? null,
    peephole: isLstm && peephole ? select(peephole, 0, d) : null,
    f: activationsOf(call, defaults, d),
  };
  const nothing = ends && call.filled([batch, size], 0, x.dtype);
  let state: { h: Tensor; c: Tensor | null } = { h: initial(5), c: isLstm ? initial(6) : null };
  const outputs = new Array<Tensor>(length);
  for (let i = 0; i < length; i++) {
    const t = reverse ? length - 1 - i : i;
    const next = step({ x: select(x, 0, t), ...state, ...shared }, call);
    const running =
      ends &&
      fromArray(
        ends.map((end) => Number(t < end)),
        [batch, 1],
        "bool",
      );
    const kept = (now: Tensor, old: Tensor): Tensor => (running ? where(running, now, old) : now);
    outputs[t] = running ? where(running, next.h, nothing!) : next.h;
    state = { h: kept(next.h, state.h), c: next.c && kept(next.c, state.c!) };
  }
  return { outputs, ...state };
}

function recurrent(step: Step, defaults: readonly string[]): (call: Call) => readonly (Tensor | null)[] {
  return (call) => {
    const way = call.string("direction", "forward");
    const runs = (way === "bidirectional" ? [false, true] : [way === "reverse"]).map((reverse, d) =>
      direction(call, step, d, reverse, defaults),
    );
    const perStep = runs[0]!.outputs.map((_, t) =>
      stack(
        runs.map(({ outputs }) => outputs[t]!),
        0,
      ),
    );
    const y = perStep.length > 0 ? stack(perStep, 0) : null;
    const last = stack(
      runs.map(({ h }) => h),
      0,
    );
    const cells = runs.every(({ c }) => c)
      ? stack(
          runs.map(({ c }) => c!),
          0,
        )
      : null;
    if (call.int("layout") === 0) return [y, last, cells];
    return [y && permute(y, [2, 0, 1, 3]), permute(last, [1, 0, 2]), cells && permute(cells, [1, 0, 2])];
  };
}

export const rnnRules: OnnxRules = {
  GRU: rule(recurrent(gruStep, ["Sigmoid", "Tanh"])),
  LSTM: rule(recurrent(lstmStep, ["Sigmoid", "Tanh", "Tanh"])),
  RNN: rule(recurrent(rnnStep, ["Tanh"])),
};
