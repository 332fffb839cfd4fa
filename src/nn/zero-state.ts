/**
 * The zeros a recurrent layer starts from when no state is given.
 *
 * A tensor of zeros has the example's batch size, which would fix the batch of a captured graph. So a capture makes them
 * from the input: a column of it, limited to 0..0, with zeros appended (all of which the engine has kernels for).
 */

import { clamp } from "../ops/clamp.ts";
import { pad } from "../ops/pad.ts";
import { reshape } from "../ops/shape.ts";
import { slice } from "../ops/slicing.ts";
import { activeTracer } from "../tensor/context.ts";
import { zeros } from "../tensor/create.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Zeros [N, size] for an input [N, features]; [size] for [features]. */
export function zeroState(x: Tensor, size: number): Tensor {
  const shape = [...x.shape.slice(0, -1), size];
  if (!activeTracer() || x.rank !== 2) return zeros(shape, { dtype: x.dtype });
  const [batch, features] = x.shape as [number, number];
  const column = clamp(slice(reshape(x, [batch, 1, features]), 2, 0, 1), 0, 0);
  return reshape(pad(column, [0, size - 1]), shape);
}
