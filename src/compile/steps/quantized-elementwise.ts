/**
 * Elementwise operators on bytes: any function of one byte as a table of 256, and sums and products of two.
 */

import type { Node } from "../../graph/graph.ts";
import { PAIR_BYTES, productQuantizer, writePair } from "../../kernels/qelementwise/reference.ts";
import { ruleCode } from "../../kernels/quantize/rules.ts";
import { findOp } from "../../ops/op.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import { numel, sameShape } from "../../tensor/shape.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { elementOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { rowBlocks } from "../rows.ts";
import { constantRecord, dequantizerOf, quantizerOf } from "./quantized-storage.ts";
import { bindTail } from "./tail.ts";

const BYTES = 256;

/** Stored result of the operator for each stored byte: its own reference, run on all 256 integers. */
function tableOf(node: Node, input: Buffer, output: Buffer, flip: number): Uint8Array {
  const shape = [BYTES];
  const { dtype, qparams } = input.type;
  const inputMask = (dtypeInfo[dtype].min === 0 ? 0 : 0x80) ^ flip;
  const outputMask = (dtypeInfo[output.type.dtype].min === 0 ? 0 : 0x80) ^ flip;
  const integers = allocate(dtype, BYTES);
  for (let byte = 0; byte < BYTES; byte++) integers[byte] = byte ^ inputMask;
  const [result] = findOp(node.target).forward([new Tensor(dtype, shape, integers, qparams)], node.attrs, [
    { ...output.type, shape },
  ]);
  return Uint8Array.from(result!.data, (v) => (v & 0xff) ^ outputMask);
}

function withTail(run: () => void, tail: (() => void) | null): () => void {
  if (!tail) return run;
  return () => {
    run();
    tail();
  };
}

/** y = values[x], byte by byte. */
export function bindBytes(place: Place, values: Uint8Array, x: Buffer, y: Buffer): () => void {
  const { engine, at, constant } = place;
  const table = constant(BYTES);
  engine.memory.u8(table, BYTES).set(values);
  const [source, target] = [at(x), at(y)];
  const blocks = rowBlocks([x, y]);
  return () => {
    for (const { rows, count, offsets, strides } of blocks) {
      engine.kernels.qlut_rows(
        rows,
        count,
        source + offsets[0]!,
        strides[0]!,
        target + offsets[1]!,
        strides[1]!,
        table,
      );
    }
  };
}

function bindTable(place: Place, node: Node, x: Buffer, y: Buffer, flip: number): () => void {
  const run = bindBytes(place, tableOf(node, x, y, flip), x, y);
  return withTail(run, bindTail(place, node, [x], y, flip));
}

function emitTable(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  if (elementOf(plan.type(x!).dtype) !== "byte") return "only 8-bit tensors have a kernel";
  const input = plan.read(x!, node, { kind: "any" });
  const output = plan.write(node.output, input.form.kind);
  plan.step({
    node,
    kernel: "table of 256",
    precision: "int8",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bindTable(place, node, input, output, plan.flip),
  });
}

function bindPair(
  place: Place,
  node: Node,
  [a, b, y]: readonly [Buffer, Buffer, Buffer],
  flip: 0 | 0x80,
  product: boolean,
): () => void {
  const { engine, at } = place;
  const { kernels } = engine;
  const relu = node.attrs["relu"] === true;
  const left = dequantizerOf(a.type, flip, !product);
  const right = dequantizerOf(b.type, flip, !product);
  const plain = quantizerOf(y.type, flip, "roundThenAdd", { relu });
  const output = product ? productQuantizer(left, right, plain) : plain;
  const records = constantRecord(place, PAIR_BYTES, (view, base) =>
    writePair(view, base, { a: left, b: right, output }),
  );
  const [first, second, target] = [at(a), at(b), at(y)];
  const blocks = rowBlocks([a, b, y]);
  const rule = ruleCode(output.rule);
  const run = (): void => {
    for (const {
      rows,
      count,
      offsets: [oa, ob, oy],
      strides: [sa, sb, sy],
    } of blocks) {
      if (product) kernels.qmul_rows(rows, count, first + oa!, sa!, second + ob!, sb!, target + oy!, sy!, records);
      else kernels.qadd_rows(rule, rows, count, first + oa!, sa!, second + ob!, sb!, target + oy!, sy!, records);
    }
  };
  return withTail(run, product ? null : bindTail(place, node, [a, b], y, flip));
}

function pairRule(product: boolean): StepRule {
  return {
    emit(node, plan) {
      const [a, b] = node.args;
      if (!sameShape(plan.type(a!).shape, plan.type(b!).shape))
        return "the shapes differ and would have to be broadcast";
      const left = plan.read(a!, node, { kind: "any" });
      const right = plan.read(b!, node, { kind: left.form.kind });
      const output = plan.write(node.output, left.form.kind);
      plan.step({
        node,
        kernel: product ? "qmul" : "qadd",
        precision: "int8",
        why: "",
        operations: numel(output.type.shape),
        reads: [left, right],
        writes: [output],
        bind: (place) => bindPair(place, node, [left, right, output], plan.flip, product),
      });
    },
  };
}

/** For every operator that is elementwise on one 8-bit tensor. */
export const tableRule: StepRule = { emit: emitTable };

export const pairRules: readonly (readonly [string, StepRule])[] = [
  ["quantizedAdd", pairRule(false)],
  ["quantizedMul", pairRule(true)],
];
