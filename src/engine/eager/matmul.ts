/**
 * Matrix product on plain arrays. B is packed into panels of eight columns, A is used as it lies (or
 * transposed first). Long sums are cut into blocks that keep a panel in the first-level cache; the
 * running sums go through y, so cutting changes no bit.
 */

import { EngineError } from "../../errors.ts";
import { K_BLOCK, MATRIX_ROWS } from "../../kernels/f32-gemm/tile.ts";
import type { Engine } from "../engine.ts";
import { defaultEngine } from "../engine.ts";
import { checkLength } from "../f32/geometry.ts";
import type { Alloc } from "../f32/image.ts";
import { copyIn, gridTable, tableFrom } from "../f32/image.ts";
import { initialSums, packB } from "../f32/operands.ts";
import type { Packed } from "../f32/operands.ts";

/** `batch` independent products of [m, k] by [k, n]; `transA`: a is stored [k, m]; `transB`: b is stored [n, k]. */
export interface MatmulShape {
  readonly batch?: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/** y[m][n] = init + a[m][k] b[k][n] inside the engine's memory: addresses, dense rows. */
function multiply(
  engine: Engine,
  alloc: Alloc,
  a: number,
  b: Packed,
  init: number,
  y: number,
  m: number,
  k: number,
  n: number,
): void {
  const { kernels } = engine;
  if (m === 1) {
    kernels.f32_gemv_1x48(a, k, b.at, b.panelBytes, init, y, n, -Infinity, Infinity);
    return;
  }
  const rows = gridTable(engine, alloc, 0, 1, [1, 1, m], [0, 0, 0, k * 4]);
  const out = gridTable(engine, alloc, 0, 1, [1, 1, m], [0, 0, 0, n * 4]);
  const tap = tableFrom(engine, alloc, [0]);
  for (let from = 0; from === 0 || from < k; from += K_BLOCK) {
    const run = Math.min(K_BLOCK, k - from);
    const accumulate = from > 0 ? 1 : 0;
    // prettier-ignore
    engine.share("f32_gemm_6x8", [
      0, m, rows, out, a + from * 4, 1, tap, run, b.at + from * 32, b.panelBytes, init, accumulate, y, n, -Infinity, Infinity, MATRIX_ROWS,
    ], { at: 0, unit: 6 }, 2 * m * run * n);
  }
}

/**
 * out[i] = a[i] b[i] (+ bias) for each matrix of the batch. `bias` has n elements and is added before the sum.
 * a, b and out are row-major and dense; out may be a or b.
 * @throws EngineError when an array's length is not what the shape says, or memory cannot be had.
 */
export function matmulF32(
  a: Float32Array,
  b: Float32Array,
  out: Float32Array,
  shape: MatmulShape,
  bias: Float32Array | null = null,
  engine: Engine = defaultEngine(),
): Float32Array {
  const { batch = 1, m, k, n, transA = false, transB = false } = shape;
  if (![batch, m, k, n].every((value) => Number.isInteger(value) && value >= 0)) {
    throw new EngineError("matmul", { ...shape }, "sizes must be whole numbers");
  }
  checkLength("matmul", "a", a, batch * m * k);
  checkLength("matmul", "b", b, batch * k * n);
  checkLength("matmul", "out", out, batch * m * n);
  if (bias !== null) checkLength("matmul", "bias", bias, n);
  if (batch * m * n === 0) return out;
  for (let i = 0; i < batch; i++) {
    engine.memory.scope((alloc) => {
      let left = copyIn(engine, alloc, a.subarray(i * m * k, (i + 1) * m * k));
      if (transA) {
        const straight = alloc(m * k * 4);
        engine.kernels.layout_transpose32(k, m, left, m * 4, straight, k * 4);
        left = straight;
      }
      const right = packB(engine, alloc, copyIn(engine, alloc, b.subarray(i * k * n, (i + 1) * k * n)), k, n, transB);
      const init = initialSums(engine, alloc, bias, n);
      const y = alloc(m * n * 4);
      multiply(engine, alloc, left, right, init, y, m, k, n);
      out.set(engine.memory.f32(y, m * n), i * m * n);
    });
  }
  return out;
}
