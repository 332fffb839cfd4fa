/**
 * quantizedMatmul, a product of two computed tensors → the integer matrix product, the right side packed in each run, then
 * its results quantized. Which kernel is exact depends on the right side's integers, so that is asked in each run too.
 */

import type { Node } from "../../graph/graph.ts";
import { gemmPart, readZeroPoint } from "../../kernels/qgemm/gemm.ts";
import { POST, WEIGHTS, WIDE_WEIGHTS } from "../../kernels/qgemm/layout.ts";
import type { Variant } from "../../kernels/qgemm/list.ts";
import { paddedRun } from "../../kernels/qgemm/pack.ts";
import { PartBlock } from "../../kernels/qgemm/parts.ts";
import { rescalePost } from "../../kernels/qgemm/post.ts";
import { Q_BYTES } from "../../kernels/quantize/layout.ts";
import { ruleCode, writeQuantizer } from "../../kernels/quantize/rules.ts";
import { numel } from "../../tensor/shape.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { elementOf, flat, unsignedZeroPoint } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { constantI32 } from "./conv.ts";
import { batchOf } from "./matmul.ts";
import type { Batch } from "./matmul.ts";
import { placeParts, runPlaced } from "./parts.ts";
import { constantRecord, quantizerOf } from "./quantized-storage.ts";
import { denseRowsView, viewOf } from "./strided.ts";

const SHORT = 2;
const WORD = 4;

interface Product {
  readonly batch: Batch;
  readonly a: Buffer;
  readonly b: Buffer;
  /** Float results of one matrix. */
  readonly reals: Buffer;
  readonly y: Buffer;
  readonly flip: 0 | 0x80;
}

function scaleOf({ qparams }: TensorType): number {
  return qparams?.kind === "perTensor" ? qparams.scale : NaN;
}

/** The call that brings the matrix at an address into rows, and says whether a byte holds each of its integers. */
function bindRows(
  place: Place,
  { batch: { columns }, b, flip }: Product,
): { rows: number; sums: () => Int32Array; pack: (source: number) => boolean } {
  const { engine, constant } = place;
  const { k, n, kStride, nStride } = columns;
  const depth = paddedRun(k);
  const taps = constantI32(
    place,
    Int32Array.from({ length: k }, (_, i) => i * kStride),
  );
  const zeros = constantI32(place, new Int32Array(n).fill(unsignedZeroPoint(b.type) - flip));
  const [rows, sums, magnitudes, facts] = [n * depth * SHORT, n * WORD, n * WORD, 4 * WORD].map(constant) as [
    number,
    number,
    number,
    number,
  ];
  return {
    rows,
    sums: () => engine.memory.i32(sums, n),
    pack(source) {
      engine.kernels.qpack_rows(source, flip, n, nStride, zeros, 1, k, taps, rows);
      engine.kernels.qpack_facts(rows, n, depth, sums, magnitudes, facts);
      const [low, high] = engine.memory.i32(facts, 2);
      return low! >= -128 && high! <= 127;
    },
  };
}

/** One variant of the product: packs the rows, and computes the matrix whose rows begin at `a`. */
function bindVariant(
  place: Place,
  { batch: { rows, columns, products }, a, b, reals }: Product,
  packed: { readonly rows: number; readonly sums: () => Int32Array },
  variant: Variant,
): { pack: () => void; run: readonly (() => void)[] } {
  const { engine, at } = place;
  const { k, n } = columns;
  const part = {
    ...gemmPart(
      {
        rows: rows.from.length,
        depth: k,
        channels: n,
        weights: new Int8Array(n * k),
        epilogue: {
          inputScale: scaleOf(a.type),
          inputZeroPoint: unsignedZeroPoint(a.type),
          weightScales: [scaleOf(b.type)],
          bias: { kind: "none" },
          output: { kind: "f32Twice" },
        },
      },
      { dot: engine.dot, variant },
    ),
    pixIn: Int32Array.from(rows.from),
    pixOut: Int32Array.from(rows.to, (offset) => offset * WORD),
  };
  const placed = placeParts(place, new PartBlock([part], engine.threads));
  const { descriptor } = placed[0]!;
  const field = (offset: number): number => new DataView(engine.memory.wasm.buffer).getInt32(descriptor + offset, true);
  const narrow = variant !== "simd128";
  const [panels, post] = [field(narrow ? WEIGHTS : WIDE_WEIGHTS), field(POST)];
  const zeroPoint = readZeroPoint(unsignedZeroPoint(a.type), variant, part.flip);
  const operations = 2 * rows.from.length * k * n;
  return {
    pack() {
      engine.kernels.qpack_panels(packed.rows, n, paddedRun(k), narrow ? 1 : 0, panels);
      const sums = packed.sums();
      rescalePost(new DataView(engine.memory.wasm.buffer), post, {
        sums, scales: [scaleOf(b.type)], inputScale: scaleOf(a.type), zeroPoint,
      }); // prettier-ignore
    },
    run: products.map(({ a: start }) => runPlaced(place, placed, at(a) + start, at(reals), operations)),
  };
}

function bindProduct(place: Place, product: Product): () => void {
  const { engine, at } = place;
  const { batch: { rows, products }, b, reals, y, flip } = product; // prettier-ignore
  const packed = bindRows(place, product);
  const exact = bindVariant(place, product, packed, "simd128");
  const fits = engine.dot === "u8-exact" || engine.dot === "signed";
  const fast = fits ? bindVariant(place, product, packed, "relaxed_dot") : exact;
  const quantizer = quantizerOf(y.type, flip, "addThenRound");
  const record = constantRecord(place, Q_BYTES, (view, base) => writeQuantizer(view, base, quantizer));
  const [rule, count] = [ruleCode(quantizer.rule), rows.from.length * rows.n];
  const [right, source, target] = [at(b), at(reals), at(y)];
  return () => {
    let last = -1;
    let chosen = exact;
    products.forEach(({ b: start, y: to }, i) => {
      if (start !== last) {
        chosen = packed.pack(right + start) ? fast : exact;
        chosen.pack();
      }
      last = start;
      chosen.run[i]!();
      engine.kernels.quantize_bytes(rule, count, source, target + to, record);
    });
  };
}

function emit(node: Node, plan: PlanBuilder): string | void {
  const [x, w] = node.args;
  if (elementOf(plan.type(x!).dtype) !== "byte") return "only 8-bit tensors have a kernel";
  const [left, right] = [denseRowsView(x!, plan), viewOf(w!, plan)];
  const [a, b] = [left, right].map(({ base }) => plan.read(base, node, { kind: "flat" })) as [Buffer, Buffer];
  const y = plan.write(node.output, "flat");
  const batch = batchOf(left, right);
  const sizes = [batch.rows.from.length, batch.rows.n];
  const reals = plan.scratch({ dtype: "float32", shape: sizes }, flat(sizes));
  plan.step({
    node,
    kernel: "pack, qgemm, quantize",
    precision: "int8",
    why: "",
    operations: 2 * numel(y.type.shape) * batch.columns.k,
    reads: [a, b],
    writes: [reals, y],
    bind: (place) => bindProduct(place, { batch, a, b, reals, y, flip: plan.flip }),
  });
}

export const quantizedMatmulRules: readonly (readonly [string, StepRule])[] = [["quantizedMatmul", { emit }]];
