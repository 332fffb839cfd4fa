/**
 * The gradient of every normalization as one operator, with loops of its own because it is on the path of
 * each training step.
 *
 * Its own gradient (for second derivatives) is that of the same formula written with operators.
 */

import { grad } from "../autograd/backward.ts";
import { enableGrad, isGradEnabled } from "../tensor/context.ts";
import { allocate } from "../tensor/dtype.ts";
import type { TypedArray } from "../tensor/dtype.ts";
import { Tensor } from "../tensor/tensor.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { fromDoubles } from "./loops.ts";
import { groupStats, normGradients, viewOf } from "./norm-loops.ts";
import type { NormLayout, NormStats } from "./norm-loops.ts";
import { defineOp, dispatch } from "./op.ts";
import { mean, sum } from "./reduce.ts";
import { reshape } from "./shape.ts";
import { rsqrt } from "./unary.ts";

/** dy, x, weight, and the fixed mean and variance, or null where they are x's own. */
type GradInputs = readonly [dy: Tensor, x: Tensor, weight: Tensor | null, mean: Tensor | null, variance: Tensor | null];
export type NormAttrs = { readonly layout: NormLayout; readonly eps: number };

/** Statistics given as tensors, in double precision. */
export function fixedStats(runningMean: TypedArray, runningVar: TypedArray): NormStats {
  return { mean: Float64Array.from(runningMean), variance: Float64Array.from(runningVar) };
}

/** The formula of `normGradients` in operators. */
function expression([dy, x, weight, fixedMean, fixedVar]: GradInputs, { layout, eps }: NormAttrs): Tensor[] {
  const { outer, groups, inner, channels, channelInner } = viewOf(layout, x.numel);
  const perChannel = (t: Tensor): Tensor => reshape(t, [-1, channels, channelInner]);
  const perGroup = (t: Tensor): Tensor => reshape(t, [outer, groups, inner]);
  const over = (t: Tensor): Tensor => mean(t, [0, 2], { keepdim: true });
  const g = perGroup(weight ? mul(perChannel(dy), reshape(weight, [channels, 1])) : dy);
  const values = perGroup(x);
  const centred = sub(values, fixedMean ? reshape(fixedMean, [groups, 1]) : over(values));
  const variance = fixedVar ? reshape(fixedVar, [groups, 1]) : over(mul(centred, centred));
  const inverse = rsqrt(add(variance, eps));
  const z = mul(centred, inverse);
  const rest = fixedMean ? g : sub(sub(g, over(g)), mul(z, over(mul(g, z))));
  return [
    reshape(mul(rest, inverse), x.shape),
    sum(mul(perChannel(dy), perChannel(reshape(z, x.shape))), [0, 2]),
    sum(perChannel(dy), [0, 2]),
  ];
}

export const normGradOp = defineOp<GradInputs, NormAttrs>({
  name: "normGrad",
  infer([, x], { layout }) {
    const vector = { dtype: x.dtype, shape: [layout.channels] };
    return [{ dtype: x.dtype, shape: x.shape }, vector, vector];
  },
  forward([dy, x, weight, fixedMean, fixedVar], { layout, eps }, types) {
    const view = viewOf(layout, x.numel);
    const fixed = fixedMean !== null && fixedVar !== null;
    const stats = fixed ? fixedStats(fixedMean.data, fixedVar.data) : groupStats(x.data, view);
    const out = {
      x: allocate(x.dtype, x.numel),
      weight: new Float64Array(view.channels),
      bias: new Float64Array(view.channels),
    };
    normGradients(dy.data, x.data, weight?.data ?? null, stats, view, { eps, fixed }, out);
    return [new Tensor(x.dtype, x.shape, out.x), fromDoubles(types[1]!, out.weight), fromDoubles(types[2]!, out.bias)];
  },
  backward(_, { inputs, attrs, grads }) {
    const createGraph = isGradEnabled();
    return enableGrad(() => {
      const terms = expression(inputs, attrs).flatMap((y, i) => (grads[i] ? [sum(mul(y, grads[i]))] : []));
      const total = terms.reduce((a, b) => add(a, b));
      const wanted = inputs.map((input) => input ?? null);
      const present = wanted.filter((input): input is Tensor => input !== null);
      const found = grad(total, present, { createGraph });
      return wanted.map((input) => (input ? found[present.indexOf(input)]! : null));
    });
  },
});

/** [dx, dweight, dbias]; the last two have `layout.channels` elements. */
export function normGrad(inputs: GradInputs, attrs: NormAttrs): readonly [Tensor, Tensor, Tensor] {
  const [dx, dweight, dbias] = dispatch(normGradOp, inputs, attrs);
  return [dx!, dweight!, dbias!];
}
