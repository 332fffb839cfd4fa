/**
 * linear in float → the packed matrix product; one row takes the vector form.
 */

import type { Node } from "../../graph/graph.ts";
import { MATRIX_ROWS, PANEL, TILE_ROWS } from "../../kernels/f32-gemm/tile.ts";
import { numel } from "../../tensor/shape.ts";
import type { PlanBuilder, StepRule } from "../plan.ts";
import { constantF32, constantI32 } from "./conv.ts";

const FLOAT = 4;

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  const weight = plan.constant(w!);
  const bias = plan.constant(b ?? null);
  if (!weight || (b !== null && !bias)) return "the weight or bias is not a stored tensor";
  if (plan.type(x!).dtype !== "float32") return "only float32 linear layers have a kernel";
  const [n, k] = weight.shape as [number, number];
  const rows = numel(plan.type(x!).shape) / k;
  const input = plan.read(x!, node, { kind: "flat" });
  const { output: value, range } = plan.absorbClamp(node);
  const output = plan.write(value, "flat");
  plan.step({
    node,
    kernel: `f32 gemm ${rows === 1 ? "1x48" : "6x8"} ${plan.engine.build}`,
    precision: "float",
    why: "",
    operations: 2 * rows * k * n,
    reads: [input],
    writes: [output],
    bind(place) {
      const { engine, at, constant } = place;
      const { kernels } = engine;
      const panelBytes = k * PANEL * FLOAT;
      const packed = constant(Math.ceil(n / PANEL) * panelBytes);
      engine.memory.scope((alloc) => {
        const source = alloc(weight.numel * FLOAT);
        engine.memory.f32(source, weight.numel).set(weight.data);
        kernels.f32_pack(k, n, source, FLOAT, k * FLOAT, panelBytes, packed);
      });
      const init = constantF32(place, bias ? bias.data : [], Math.ceil(n / PANEL) * PANEL);
      const [source, target] = [at(input), at(output)];
      if (rows === 1)
        return () => kernels.f32_gemv_1x48(source, k, packed, panelBytes, init, target, n, range.low, range.high);
      const table = constantI32(
        place,
        Array.from({ length: rows }, (_, i) => i * k * FLOAT),
      );
      const out = constantI32(
        place,
        Array.from({ length: rows }, (_, i) => i * n * FLOAT),
      );
      const tap = constantI32(place, [0]);
      return () =>
        engine.share(
          "f32_gemm_6x8",
          [
            0,
            rows,
            table,
            out,
            source,
            1,
            tap,
            k,
            packed,
            panelBytes,
            init,
            0,
            target,
            n,
            range.low,
            range.high,
            MATRIX_ROWS,
          ],
          { at: 0, unit: TILE_ROWS },
          2 * rows * k * n,
        );
    },
  });
}

export const linearRule: StepRule = { emit };

export const linearRules: readonly (readonly [string, StepRule])[] = [["linear", linearRule]];
