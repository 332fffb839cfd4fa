/**
 * Activation functions, and the softmax family whose axis means something else before opset 13.
 */

import { hardswish, leakyRelu, relu } from "../../ops/activation-linear.ts";
import { celu, elu, gelu, mish, sigmoid, softplus, softsign } from "../../ops/activation-smooth.ts";
import { logSoftmax, softmax } from "../../ops/activation-softmax.ts";
import { add, maximum, minimum, mul, sub } from "../../ops/arithmetic.ts";
import { clamp } from "../../ops/clamp.ts";
import { greater, less } from "../../ops/compare.ts";
import { argmax } from "../../ops/reduce-extremes.ts";
import { oneHot } from "../../ops/triangle.ts";
import { movedim, reshape } from "../../ops/shape.ts";
import { cast, tanh } from "../../ops/unary.ts";
import { where } from "../../ops/where.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { normalizeAxis, numel } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule, since } from "../call.ts";
import type { Call, OnnxRule, OnnxRules } from "../call.ts";
import { isSymbolic } from "../tracer.ts";

type AlongAxis = (x: Tensor, axis: number, call: Call) => Tensor;

/** Along one axis; before opset 13 over everything from the axis on, as one. */
function alongAxis(f: AlongAxis): OnnxRule {
  return since({
    1: (call) => {
      const x = call.input(0);
      const axis = normalizeAxis(call.opType, call.int("axis", 1), x.rank);
      const rows = numel(x.shape.slice(0, axis));
      return axis === x.rank - 1
        ? f(x, axis, call)
        : reshape(f(reshape(x, [rows, numel(x.shape.slice(axis))]), 1, call), x.shape);
    },
    13: (call) => f(call.input(0), normalizeAxis(call.opType, call.int("axis", -1), call.input(0).rank), call),
  });
}

const hardmax: AlongAxis = (x, axis, call) => {
  call.checkSize([x.shape[axis]!]); // a constant counts through the axis
  return movedim(cast(oneHot(argmax(x, axis), x.shape[axis]!), x.dtype), -1, axis);
};

function clip(x: Tensor, low: Tensor | number | null, high: Tensor | number | null): Tensor {
  if (low === null && high === null) return x;
  const plain = (limit: Tensor | number | null): Tensor | number | null =>
    limit === null || typeof limit === "number" || isSymbolic(limit) ? limit : limit.item();
  const [min, max] = [plain(low), plain(high)];
  if (isFloat(x.dtype) && typeof min !== "object" && typeof max !== "object") return clamp(x, min, max);
  const raised = min === null ? x : maximum(x, min);
  return max === null ? raised : minimum(raised, max);
}

/** A slope for each channel, counted from the end when it broadcasts so. */
function prelu(call: Call): Tensor {
  const [x, slope] = [call.input(0), call.input(1)];
  return where(less(x, 0), mul(slope, x), x);
}

// selu: gamma (x > 0 ? x : alpha (e^x - 1))
function selu(call: Call): Tensor {
  const alpha = call.float("alpha", Math.fround(1.6732632423543772));
  return mul(elu(call.input(0), { alpha }), call.float("gamma", Math.fround(1.0507009873554805)));
}

function shrink(call: Call): Tensor {
  const x = call.input(0);
  const [bias, lambda] = [call.float("bias"), call.float("lambd", 0.5)];
  return where(less(x, -lambda), add(x, bias), where(greater(x, lambda), sub(x, bias), mul(x, 0)));
}

function thresholded(call: Call): Tensor {
  const x = call.input(0);
  return where(greater(x, call.float("alpha", 1)), x, mul(x, 0));
}

function hardSigmoid(call: Call): Tensor {
  const scaled = mul(call.input(0), call.float("alpha", Math.fround(0.2)));
  return clamp(add(scaled, call.float("beta", 0.5)), 0, 1);
}

function swish(call: Call): Tensor {
  const x = call.input(0);
  return mul(x, sigmoid(mul(x, call.float("alpha", 1))));
}

/** Microsoft's: x sigmoid(alpha x) of com.microsoft, and the tanh form of Gelu. */
function scaledTanh(call: Call): Tensor {
  return mul(tanh(mul(call.input(0), call.float("beta", 1))), call.float("alpha", 1));
}

export const activationRules: OnnxRules = {
  Celu: rule((call) => celu(call.input(0), { alpha: call.float("alpha", 1) })),
  Clip: since({
    1: (call) =>
      clip(call.input(0), call.has("min") ? call.float("min") : null, call.has("max") ? call.float("max") : null),
    11: (call) => clip(call.input(0), call.optional(1), call.optional(2)),
  }),
  Elu: rule((call) => elu(call.input(0), { alpha: call.float("alpha", 1) })),
  Gelu: rule((call) =>
    gelu(call.input(0), { approximate: call.string("approximate", "none") === "tanh" ? "tanh" : "none" }),
  ),
  HardSigmoid: rule(hardSigmoid),
  HardSwish: rule((call) => hardswish(call.input(0))),
  Hardmax: alongAxis(hardmax),
  LeakyRelu: rule((call) => leakyRelu(call.input(0), { negativeSlope: call.float("alpha", Math.fround(0.01)) })),
  LogSoftmax: alongAxis(logSoftmax),
  Mish: rule((call) => mish(call.input(0))),
  PRelu: rule(prelu),
  Relu: rule((call) => (isFloat(call.input(0).dtype) ? relu(call.input(0)) : maximum(call.input(0), 0))),
  ScaledTanh: rule(scaledTanh),
  Selu: rule(selu),
  Shrink: rule(shrink),
  Sigmoid: rule((call) => sigmoid(call.input(0))),
  Softmax: alongAxis(softmax),
  Softplus: rule((call) => softplus(call.input(0))),
  Softsign: rule((call) => softsign(call.input(0))),
  Swish: rule(swish),
  ThresholdedRelu: rule(thresholded),
};
