/**
 * Linear layers whose weights change, products of two computed matrices, and the transpose between them.
 */

import type { Node } from "../../../graph/graph.ts";
import { Value } from "../../../graph/graph.ts";
import { K_BLOCK, MATRIX_ROWS, PANEL } from "../../../kernels/f32-gemm/tile.ts";
import { numel } from "../../../tensor/shape.ts";
import type { Buffer } from "../../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../../plan.ts";
import { constantF32, constantI32 } from "../../steps/conv.ts";
import { linearRule } from "../../steps/linear.ts";
import type { Range } from "../../steps/clamps.ts";
import { unlimited } from "../../steps/clamps.ts";

const FLOAT = 4;

/** y [m, n] = a [m, k] times b, [k, n] or [n, k] when `transposed`, plus a bias. */
interface MatrixProduct {
  readonly a: Buffer;
  readonly b: Buffer;
  readonly bias: Buffer | null;
  readonly y: Buffer;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposed: boolean;
  readonly range: Range;
}

function rowTable(place: Place, rows: number, stride: number): number {
  return constantI32(
    place,
    Array.from({ length: rows }, (_, i) => i * stride),
  );
}

function bindMatrixProduct(place: Place, product: MatrixProduct): () => void {
  const { engine, at, constant } = place;
  const { m, k, n, transposed, range } = product;
  const panelBytes = k * PANEL * FLOAT;
  const packed = constant(Math.ceil(n / PANEL) * panelBytes);
  const [rowBytes, columnBytes] = transposed ? [FLOAT, k * FLOAT] : [n * FLOAT, FLOAT];
  const [rows, out, tap] = [rowTable(place, m, k * FLOAT), rowTable(place, m, n * FLOAT), constantI32(place, [0])];
  const init = constantF32(place, [], Math.ceil(n / PANEL) * PANEL);
  const [a, b, y, bias] = [at(product.a), at(product.b), at(product.y), product.bias && at(product.bias)];
  return () => {
    engine.kernels.f32_pack(k, n, b, rowBytes, columnBytes, panelBytes, packed);
    if (bias !== null) engine.memory.f32(init, n).set(engine.memory.f32(bias, n));
    for (let from = 0; from === 0 || from < k; from += K_BLOCK) {
      const run = Math.min(K_BLOCK, k - from);
      const isLast = from + K_BLOCK >= k;
      engine.share("f32_gemm_6x8", [
        0, m, rows, out, a + from * FLOAT, 1, tap, run, packed + from * PANEL * FLOAT, panelBytes, init, from > 0 ? 1 : 0, y, n,
        isLast ? range.low : -Infinity, isLast ? range.high : Infinity, MATRIX_ROWS,
      ], { at: 0, unit: 6 }, 2 * m * run * n); // prettier-ignore
    }
  };
}

function addProduct(plan: PlanBuilder, node: Node, product: MatrixProduct): void {
  const { a, b, bias, y, m, k, n } = product;
  plan.step({
    node,
    kernel: `f32 gemm 6x8 ${plan.engine.build}`,
    precision: "float",
    why: "",
    operations: 2 * m * k * n,
    reads: [a, b, ...(bias ? [bias] : [])],
    writes: [y],
    bind: (place) => bindMatrixProduct(place, product),
  });
}

function emitLinear(node: Node, plan: PlanBuilder): string | void {
  const [x, w, b] = node.args;
  if (plan.constant(w!)) return linearRule.emit(node, plan);
  if (plan.type(x!).dtype !== "float32") return "only float32 linear layers have a kernel";
  const [n, k] = plan.type(w!).shape as [number, number];
  const m = numel(plan.type(x!).shape) / k;
  const bias = b instanceof Value ? plan.read(b, node, { kind: "flat" }) : null;
  const a = plan.read(x!, node, { kind: "flat" });
  const weight = plan.read(w!, node, { kind: "flat" });
  const { output, range } = plan.absorbClamp(node);
  addProduct(plan, node, { a, b: weight, bias, y: plan.write(output, "flat"), m, k, n, transposed: true, range });
}

function emitMatmul(node: Node, plan: PlanBuilder): string | void {
  const [left, right] = node.args;
  const [a, b] = [plan.type(left!), plan.type(right!)];
  if (a.dtype !== "float32" || b.dtype !== "float32" || b.shape.length !== 2)
    return "only float32 products with one matrix on the right have a kernel";
  const [k, n] = b.shape as [number, number];
  addProduct(plan, node, {
    a: plan.read(left!, node, { kind: "flat" }),
    b: plan.read(right!, node, { kind: "flat" }),
    bias: null,
    y: plan.write(node.output, "flat"),
    m: k > 0 ? numel(a.shape) / k : 0,
    k,
    n,
    transposed: false,
    range: unlimited,
  });
}

function emitPermute(node: Node, plan: PlanBuilder): string | void {
  const type = plan.type(node.args[0]!);
  const { dims } = node.attrs as { dims: readonly number[] };
  if (type.dtype !== "float32" || dims.join() !== "1,0") return "only the transpose of float32 matrices has a kernel";
  const [rows, columns] = type.shape as [number, number];
  const input = plan.read(node.args[0]!, node, { kind: "flat" });
  const output = plan.write(node.output, "flat");
  plan.step({
    node,
    kernel: "transpose",
    precision: "copy",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind({ engine, at }) {
      const [source, target] = [at(input), at(output)];
      return () => engine.kernels.layout_transpose32(rows, columns, source, columns * FLOAT, target, rows * FLOAT);
    },
  });
}

export const matmulRules: readonly (readonly [string, StepRule])[] = [
  ["linear", { emit: emitLinear }],
  ["matmul", { emit: emitMatmul }],
  ["permute", { emit: emitPermute }],
];
