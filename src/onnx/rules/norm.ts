/**
 * Normalizations, dropout, recurrent layers' neighbours: everything that scales by statistics.
 */

import { add, div, mul, sub } from "../../ops/arithmetic.ts";
import { batchNorm } from "../../ops/batch-norm.ts";
import { instanceNorm } from "../../ops/instance-norm.ts";
import { localResponseNorm } from "../../ops/local-response-norm.ts";
import { groupNorm, layerNorm } from "../../ops/norm.ts";
import { mean, sum } from "../../ops/reduce.ts";
import { reshape } from "../../ops/shape.ts";
import { abs, cast, reciprocal, rsqrt, sqrt } from "../../ops/unary.ts";
import { where } from "../../ops/where.ts";
import { equal } from "../../ops/compare.ts";
import { full } from "../../tensor/create.ts";
import { normalizeAxis, sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule, since, valueOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";

const EPS = Math.fround(1e-5);

function along(x: Tensor, v: Tensor): Tensor {
  return reshape(v, [1, v.numel, ...x.shape.slice(2).map(() => 1)]);
}

function batchNormalized(call: Call): readonly Tensor[] {
  const [x, weight, bias, runningMean, runningVar] = [
    call.input(0),
    call.input(1),
    call.input(2),
    call.input(3),
    call.input(4),
  ];
  const eps = call.float("epsilon", EPS);
  if (call.int("training_mode") === 0) return [batchNorm(x, { weight, bias, runningMean, runningVar, eps })];
  const axes = x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
  const m = mean(x, axes);
  const centered = sub(x, along(x, m));
  const v = mean(mul(centered, centered), axes);
  const y = add(mul(mul(centered, along(x, rsqrt(add(v, eps)))), along(x, weight)), along(x, bias));
  const momentum = call.float("momentum", Math.fround(0.9));
  const blend = (old: Tensor, now: Tensor): Tensor => add(mul(old, momentum), mul(now, 1 - momentum));
  return [y, blend(runningMean, m), blend(runningVar, v)];
}

/** Statistics over the axes from `axis` on, in float32 at least; also gives the mean and 1 / deviation. */
function layerNormalized(call: Call): readonly Tensor[] {
  const [x, weight, bias] = [call.input(0), call.optional(1), call.optional(2)];
  const axis = normalizeAxis("LayerNormalization", call.int("axis", -1), x.rank);
  const shape = x.shape.slice(axis);
  const eps = call.float("epsilon", EPS);
  const plain = [weight, bias].every((p) => !p || sameShape(p.shape, shape));
  const fused = plain ? layerNorm(x, shape, { weight, bias, eps }) : null;
  if (fused && !call.wanted[1] && !call.wanted[2]) return [fused];
  const axes = shape.map((_, i) => axis + i);
  const m = mean(x, axes, { keepdim: true });
  const centered = sub(x, m);
  const inverse = reciprocal(sqrt(add(mean(mul(centered, centered), axes, { keepdim: true }), eps)));
  const scaled = mul(centered, inverse);
  const weighted = weight ? mul(scaled, weight) : scaled;
  return [fused ?? (bias ? add(weighted, bias) : weighted), m, inverse];
}

function rmsNormalized(call: Call): Tensor {
  const [x, weight] = [call.input(0), call.input(1)];
  const axis = normalizeAxis("RMSNormalization", call.int("axis", -1), x.rank);
  const axes = x.shape.slice(axis).map((_, i) => axis + i);
  const wide = cast(x, "float32");
  const power = mean(mul(wide, wide), axes, { keepdim: true });
  const scaled = div(wide, sqrt(add(power, call.float("epsilon", EPS))));
  return mul(cast(scaled, x.dtype), weight);
}

function groupNormalized(call: Call): Tensor {
  const [x, weight, bias] = [call.input(0), call.input(1), call.input(2)];
  const numGroups = call.int("num_groups");
  const eps = call.float("epsilon", EPS);
  if (weight.numel === x.shape[1]) return groupNorm(x, numGroups, { weight, bias, eps });
  const each = x.shape[1]! / numGroups;
  const spread = (v: Tensor): Tensor =>
    along(x, reshape(mul(reshape(v, [numGroups, 1]), full([1, each], 1, { dtype: v.dtype })), [x.shape[1]!]));
  return add(mul(groupNorm(x, numGroups, { eps }), spread(weight)), spread(bias));
}

function meanVariance(call: Call): Tensor {
  const x = call.input(0);
  const axes = call.ints("axes") ?? [0, 2, 3];
  const centered = sub(x, mean(x, axes, { keepdim: true }));
  return div(centered, add(sqrt(mean(mul(centered, centered), axes, { keepdim: true })), 1e-9));
}

function lpNormalized(call: Call): Tensor {
  const x = call.input(0);
  const axis = normalizeAxis("LpNormalization", call.int("axis", -1), x.rank);
  const norm =
    call.int("p", 2) === 1 ? sum(abs(x), axis, { keepdim: true }) : sqrt(sum(mul(x, x), axis, { keepdim: true }));
  return where(equal(norm, 0), mul(x, 0), div(x, norm));
}

/** Inference only: the input, and a mask of ones. Training draws numbers that no two programs share. */
function dropout(call: Call): readonly Tensor[] {
  const x = call.input(0);
  const [ratio, training] = [call.optional(1), call.optional(2)];
  const drops = training !== null && valueOf(training) !== 0 && (ratio ? valueOf(ratio) : 0.5) > 0;
  if (drops) call.fail("dropout in training mode is random and cannot be run");
  return call.wanted[1] === true ? [x, full(x.shape, 1, { dtype: "bool" })] : [x];
}

/** x / (k + alpha / size * sum of squares of the neighbouring channels)^beta */
function lrn(call: Call): Tensor {
  const size = call.int("size");
  if (size % 2 === 0) call.fail("only windows of odd size are supported", { size });
  const options = { alpha: call.float("alpha", 1e-4), beta: call.float("beta", 0.75), k: call.float("bias", 1) };
  return localResponseNorm(call.input(0), size, options);
}

function instanceNormalized(call: Call): Tensor {
  return instanceNorm(call.input(0), { weight: call.input(1), bias: call.input(2), eps: call.float("epsilon", EPS) });
}

export const normRules: OnnxRules = {
  BatchNormalization: rule(batchNormalized),
  Dropout: since({ 1: (call) => call.input(0), 7: dropout }),
  GroupNormalization: rule(groupNormalized),
  InstanceNormalization: rule(instanceNormalized),
  LRN: rule(lrn),
  LayerNormalization: rule(layerNormalized),
  LpNormalization: rule(lpNormalized),
  MeanVarianceNormalization: rule(meanVariance),
  RMSNormalization: rule(rmsNormalized),
};
