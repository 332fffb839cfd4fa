/**
 * quantizePerTensor and dequantize: between f32 and stored bytes, transposing on the way where the layouts differ.
 */

import type { Node } from "../../graph/graph.ts";
import { pixelOffset, rowStride } from "../../kernels/qconv/image.ts";
import { D_BYTES, Q_BYTES } from "../../kernels/quantize/layout.ts";
import { ruleCode, writeDequantizer, writeQuantizer } from "../../kernels/quantize/rules.ts";
import { elementOf, imageOf } from "../form.ts";
import type { Buffer, Place, PlanBuilder, StepRule } from "../plan.ts";
import { rowBlocks } from "../rows.ts";
import { dequantizerOf, quantizerOf } from "./quantized-storage.ts";

/** A record in the plan's constants. */
export function constantRecord({ engine, constant }: Place, bytes: number, write: (view: DataView, at: number) => void): number {
  const at = constant(bytes);
  write(new DataView(engine.memory.wasm.buffer), at);
  return at;
}

function bindQuantize(place: Place, x: Buffer, y: Buffer, flip: 0 | 0x80): () => void {
  const { engine, at } = place;
  const { kernels } = engine;
  const quantizer = quantizerOf(y.type, flip, "addThenRound", { nan: "high" });
  const record = constantRecord(place, Q_BYTES, (view, base) => writeQuantizer(view, base, quantizer));
  const rule = ruleCode(quantizer.rule);
  const [source, target] = [at(x), at(y)];
  if (x.form.kind === "flat" && y.form.kind === "image") {
    const { image } = y.form;
    const plane = image.c * image.h * image.w * 4;
    return () => {
      for (let n = 0; n < image.n; n++) {
        kernels.quantize_nchw_nhwc(rule, image.c, image.h, image.w, source + n * plane, target + pixelOffset(image, n, 0, 0), rowStride(image), image.c, record);
      }
    };
  }
  const blocks = rowBlocks([x, y]);
  return () => {
    for (const { rows, count, offsets, strides } of blocks) {
      for (let row = 0; row < rows; row++) {
        kernels.quantize_bytes(rule, count, source + offsets[0]! + row * strides[0]!, target + offsets[1]! + row * strides[1]!, record);
      }
    }
  };
}

function emitQuantize(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  const type = plan.type(node.output);
  if (elementOf(type.dtype) !== "byte" || plan.type(x!).dtype !== "float32") return "only float32 to qint8 and quint8 has a kernel";
  const input = plan.read(x!, node, { kind: "any" });
  const wantsImage = input.form.kind === "image" || (plan.isReadAsImage(node.output) && imageOf(type.shape) !== null);
  const output = plan.write(node.output, wantsImage ? "image" : "flat");
  plan.step({
    node,
    kernel: input.form.kind === output.form.kind ? "quantize" : "quantize nchw to nhwc",
    precision: "int8",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bindQuantize(place, input, output, plan.flip),
  });
}

function bindDequantize(place: Place, x: Buffer, y: Buffer, flip: 0 | 0x80): () => void {
  const { engine, at } = place;
  const { kernels } = engine;
  const dequantizer = dequantizerOf(x.type, flip, false);
  const record = constantRecord(place, D_BYTES, (view, base) => writeDequantizer(view, base, dequantizer));
  const [source, target] = [at(x), at(y)];
  const blocks = rowBlocks([x, y]);
  return () => {
    for (const { rows, count, offsets, strides } of blocks) {
      for (let row = 0; row < rows; row++) {
        kernels.dequantize_bytes(count, source + offsets[0]! + row * strides[0]!, target + offsets[1]! + row * strides[1]!, record);
      }
    }
  };
}

function emitDequantize(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  if (plan.constant(x!)) return "a stored tensor is dequantized";
  if (elementOf(plan.type(x!).dtype) !== "byte" || plan.type(x!).qparams?.kind !== "perTensor") return "only bytes quantized per tensor have a kernel";
  const input = plan.read(x!, node, { kind: "any" });
  const output = plan.write(node.output, input.form.kind);
  plan.step({
    node,
    kernel: "dequantize",
    precision: "int8",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bindDequantize(place, input, output, plan.flip),
  });
}

export const quantizeRules: readonly (readonly [string, StepRule])[] = [
  ["quantizePerTensor", { emit: emitQuantize }],
  ["dequantize", { emit: emitDequantize }],
];
