/**
 * Limiting values to a range. Unlike hardtanh, the gradient is 1 at the limits themselves and 0 for NaN.
 */

import { ArgumentError } from "../errors.ts";
import { isFloat } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Operand } from "./arithmetic.ts";
import { greater, greaterEqual, less, lessEqual } from "./compare.ts";
import { isnan, logicalOr } from "./logical.ts";
import { choose, literalIn } from "./loops.ts";
import { apply } from "./op.ts";
import { quantizedClamp } from "./quantized/activations.ts";
import { unaryWith } from "./unary.ts";
import { where } from "./where.ts";

export type ClampAttrs = { readonly min: number | null; readonly max: number | null };

export const clampOp = unaryWith<ClampAttrs>(
  "clamp",
  ({ min, max }, dtype) => {
    const low = min === null ? -Infinity : isFloat(dtype) ? literalIn(dtype, min) : Math.trunc(min);
    const high = max === null ? Infinity : isFloat(dtype) ? literalIn(dtype, max) : Math.trunc(max);
    return (x, y) => {
      for (let i = 0; i < y.length; i++) {
        const raised = choose(x[i]! < low, low, x[i]!);
        y[i] = choose(raised > high, high, raised);
      }
    };
  },
  (dy, x, _, { min, max }) => {
    const above = min === null ? dy : where(greaterEqual(x, min), dy, 0);
    return max === null ? above : where(lessEqual(x, max), above, 0);
  },
  { integers: "keep", quantized: (x, attrs) => quantizedClamp(x, attrs) },
);

/**
 * x limited to min..max, either of which may be left out or be a tensor that broadcasts; where they cross,
 * `max` decides. NaN stays NaN.
 * @throws ArgumentError when both are left out.
 */
export function clamp(x: Tensor, min?: Tensor | number | null, max?: Tensor | number | null): Tensor {
  const [low, high] = [min ?? null, max ?? null];
  if (low === null && high === null)
    throw new ArgumentError("clamp", { min: low, max: high }, "needs at least one limit");
  if (typeof low !== "object" || low === null) {
    if (typeof high !== "object" || high === null) return apply(clampOp, [x], { min: low, max: high });
  }
  const raised = low === null ? x : where(logicalOr(less(x, low), isNaNOf(low)), low, x);
  return high === null ? raised : where(logicalOr(greater(raised, high), isNaNOf(high)), high, raised);
}

function isNaNOf(limit: Operand): Operand {
  return typeof limit === "number" ? Number(Number.isNaN(limit)) : isnan(limit);
}

/** max(x, min). */
export function clampMin(x: Tensor, min: Tensor | number): Tensor {
  return clamp(x, min);
}

/** min(x, max). */
export function clampMax(x: Tensor, max: Tensor | number): Tensor {
  return clamp(x, null, max);
}
