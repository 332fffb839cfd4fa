/**
 * Dropout (Srivastava et al., 2014): zeroes elements with probability p and scales the rest by 1 / (1 - p).
 *
 * The mask comes from the default generator, so a seed repeats a training run. The operator returns it beside
 * y because the gradient needs it. Outside training the operator stays, as an identity: a captured graph
 * then still shows where the dropout is.
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import { defaultGenerator } from "../tensor/context.ts";
import { allocate } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { add, mul } from "./arithmetic.ts";
import { zipTo, zipWith } from "./loops.ts";
import { apply, defineOp, dispatch, requireFloat } from "./op.ts";

/** `channels`: one draw for each channel of [N, C, ...] instead of one an element. */
export type DropoutAttrs = { readonly p: number; readonly training: boolean; readonly channels: boolean };

function maskShape(x: Shape, channels: boolean): Shape {
  return channels ? x.map((size, axis) => (axis < 2 ? size : 1)) : x;
}

function drawMask(x: Tensor, { p, channels }: DropoutAttrs): Tensor {
  const shape = maskShape(x.shape, channels);
  const data = allocate(x.dtype, numel(shape));
  const generator = defaultGenerator();
  const kept = p < 1 ? 1 / (1 - p) : 0;
  const limit = p * 2 ** 32;
  for (let i = 0; i < data.length; i++) data[i] = generator.uint32() < limit ? 0 : kept;
  return new Tensor(x.dtype, shape, data);
}

export const dropoutOp = defineOp<readonly [Tensor], DropoutAttrs>({
  name: "dropout",
  infer([x], { training, channels }) {
    if (!training) return [{ dtype: x.dtype, shape: x.shape, qparams: x.qparams }];
    requireFloat("dropout", x);
    return [
      { dtype: x.dtype, shape: x.shape },
      { dtype: x.dtype, shape: maskShape(x.shape, channels) },
    ];
  },
  forward([x], attrs, [type]) {
    if (!attrs.training) return [new Tensor(x.dtype, x.shape, x.data, x.qparams)];
    const mask = drawMask(x, attrs);
    return [
      zipTo(
        type!,
        x,
        mask,
        zipWith((v, m) => (m === 0 ? 0 : v * m)),
      ),
      mask,
    ];
  },
  // The mask is an output too, but does not depend on x.
  backward: (_, { attrs, outputs, grads: [dy] }) => [dy && attrs.training ? mul(dy, outputs[1]!) : (dy ?? null)],
});

export interface DropoutOptions {
  /** Probability that an element is zeroed. */
  readonly p?: number;
  readonly training?: boolean;
}

function checkProbability(where: string, p: number): void {
  if (!(p >= 0 && p <= 1)) throw new ArgumentError(where, { p }, "the probability must be in 0..1");
}

/** Zeroes elements of x while training. @throws ArgumentError, DtypeError */
export function dropout(x: Tensor, { p = 0.5, training = true }: DropoutOptions = {}): Tensor {
  checkProbability("dropout", p);
  return apply(dropoutOp, [x], { p, training, channels: false });
}

function channelDropout(x: Tensor, { p = 0.5, training = true }: DropoutOptions, rank: number): Tensor {
  const where = `dropout${rank}d`;
  checkProbability(where, p);
  if (x.rank !== rank + 2) throw new ShapeError(where, { x: x.shape }, `x must have ${rank + 2} axes`);
  return apply(dropoutOp, [x], { p, training, channels: true });
}

/** Zeroes whole channels of x [N, C, L] while training. @throws ShapeError, ArgumentError, DtypeError */
export function dropout1d(x: Tensor, options: DropoutOptions = {}): Tensor {
  return channelDropout(x, options, 1);
}

/** Zeroes whole channels of x [N, C, H, W] while training. @throws ShapeError, ArgumentError, DtypeError */
export function dropout2d(x: Tensor, options: DropoutOptions = {}): Tensor {
  return channelDropout(x, options, 2);
}

/** Zeroes whole channels of x [N, C, D, H, W] while training. @throws ShapeError, ArgumentError, DtypeError */
export function dropout3d(x: Tensor, options: DropoutOptions = {}): Tensor {
  return channelDropout(x, options, 3);
}

/** The value selu tends to for very negative x: -scale * alpha. */
const SELU_FLOOR = -1.7580993408473766;

/**
 * Dropout that keeps mean and variance behind selu: dropped elements take selu's lower limit
 * (Klambauer et al., 2017). @throws ArgumentError, DtypeError
 */
export function alphaDropout(x: Tensor, { p = 0.5, training = true }: DropoutOptions = {}): Tensor {
  checkProbability("alphaDropout", p);
  if (!training || p === 0) return apply(dropoutOp, [x], { p, training: false, channels: false });
  if (p === 1) return mul(x, 0);
  const keep = 1 - p;
  const a = 1 / Math.sqrt((SELU_FLOOR * SELU_FLOOR * p + 1) * keep);
  // dropout's mask is 0 or 1 / keep: scaled by keep it selects, and 1 - mask puts the floor where nothing was kept
  const ones = new Tensor(x.dtype, x.shape, allocate(x.dtype, x.numel).fill(1));
  const mask = mul(dispatch(dropoutOp, [ones], { p, training: true, channels: false })[0]!, keep);
  const floored = add(mul(x, mask), mul(add(mul(mask, -1), 1), SELU_FLOOR));
  return add(mul(floored, a), -a * SELU_FLOOR * p);
}
