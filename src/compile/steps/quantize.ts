/**
 * quantizePerTensor, the decomposed quantize whose integers become a quantized tensor, and dequantize: between f32 and stored bytes, transposing on the way where the layouts differ.
 */

import type { Node, Value } from "../../graph/graph.ts";
import { pixelOffset, rowStride } from "../../kernels/qconv/image.ts";
import { D_BYTES, Q_BYTES } from "../../kernels/quantize/layout.ts";
import { ruleCode, writeDequantizer, writeQuantizer } from "../../kernels/quantize/rules.ts";
import type { Dequantizer, Quantizer } from "../../kernels/quantize/rules.ts";
import type { TensorType } from "../../tensor/tensor.ts";
import { elementOf, imageOf } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { rowBlocks } from "../rows.ts";
import { byteFunctionOf } from "./byte-function.ts";
import type { ByteFunction } from "./byte-function.ts";
import { bindBytes } from "./quantized-elementwise.ts";
import { constantRecord, dequantizerOf, quantizerOf } from "./quantized-storage.ts";

/** y = quantize(x), in like forms or from row-major to an image. */
export function bindQuantize(place: Place, x: Buffer, y: Buffer, quantizer: Quantizer): () => void {
  const { engine, at } = place;
  const { kernels } = engine;
  const record = constantRecord(place, Q_BYTES, (view, base) => writeQuantizer(view, base, quantizer));
  const rule = ruleCode(quantizer.rule);
  const [source, target] = [at(x), at(y)];
  if (x.form.kind === "flat" && y.form.kind === "image") {
    const { image, shape } = y.form;
    const channels = shape[1]!;
    const plane = channels * image.h * image.w * 4;
    return () => {
      for (let n = 0; n < image.n; n++) {
        kernels.quantize_nchw_nhwc(
          rule,
          channels,
          image.h,
          image.w,
          source + n * plane,
          target + pixelOffset(image, n, 0, 0),
          rowStride(image),
          image.c,
          record,
        );
      }
    };
  }
  const blocks = rowBlocks([x, y]);
  return () => {
    for (const { rows, count, offsets, strides } of blocks) {
      for (let row = 0; row < rows; row++) {
        kernels.quantize_bytes(
          rule,
          count,
          source + offsets[0]! + row * strides[0]!,
          target + offsets[1]! + row * strides[1]!,
          record,
        );
      }
    }
  };
}

/** Bytes of a pixel that products can read at once. */
const PIXEL_BYTES = 4;

/** Whether a picture of three channels is better stored in pixels of four bytes: only convolutions over all channels read it. */
function readsPadded(value: Value, plan: PlanBuilder): boolean {
  const { users } = value;
  return (
    plan.type(value).shape[1] === PIXEL_BYTES - 1 &&
    plan.graph.useCount(value) === users.length &&
    users.every(({ target, attrs, args }) => {
      const isConv = target === "quantizedConv" || target === "quantizedConvFloat";
      return isConv && attrs["groups"] === 1 && args.indexOf(value) === 0 && args.lastIndexOf(value) === 0;
    })
  );
}

/** A function of bytes to bytes: each of the 256 has one result. */
function addTable(node: Node, plan: PlanBuilder, found: ByteFunction, value: Value, quantizer: Quantizer): void {
  const input = plan.read(found.q, node, { kind: "any" });
  const output = plan.write(value, input.form.kind);
  plan.step({
    node,
    kernel: "table of 256",
    precision: "int8",
    why: found.isPlain ? "" : "floats between bytes are a function of one byte each",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bindBytes(place, found.table(quantizer), input, output),
  });
}

/** Adds the step from floats to the bytes of `value`, made by `rule`. */
function addQuantize(
  node: Node,
  plan: PlanBuilder,
  value: Value,
  rule: (type: TensorType) => Quantizer,
): string | void {
  const [x] = node.args;
  const type = plan.type(value);
  if (elementOf(type.dtype) !== "byte" || plan.type(x!).dtype !== "float32")
    return "only float32 to qint8 and quint8 has a kernel";
  const behind = byteFunctionOf(x!, plan);
  if (behind) return addTable(node, plan, behind, value, rule(type));
  const input = plan.read(x!, node, { kind: "any" });
  const wantsImage = input.form.kind === "image" || (plan.isReadAsImage(value) && imageOf(type.shape) !== null);
  const padded = wantsImage && input.form.kind === "flat" && readsPadded(value, plan);
  const output = padded ? plan.writePadded(value, PIXEL_BYTES) : plan.write(value, wantsImage ? "image" : "flat");
  plan.step({
    node,
    kernel: input.form.kind === output.form.kind ? "quantize" : "quantize nchw to nhwc",
    precision: "int8",
    why: "",
    operations: 0,
    reads: [input],
    writes: [output],
    bind: (place) => bindQuantize(place, input, output, rule(type)),
  });
}

function emitQuantize(node: Node, plan: PlanBuilder): string | void {
  return addQuantize(node, plan, node.output, (type) => quantizerOf(type, plan.flip, "addThenRound", { nan: "high" }));
}

/** How the quantize node's reals become the bytes that `made` makes of its integers, or why not in the engine. */
export function decomposedQuantizer(quantize: Node, made: Node | undefined, plan: PlanBuilder): Quantizer | string {
  const [, scale, zeroPoint] = quantize.args;
  if (typeof scale !== "number" || typeof zeroPoint !== "number") return "the scale is chosen when the graph runs";
  if (!made || made.target !== "makePerTensorQuantizedTensor" || plan.graph.useCount(quantize.output) !== 1)
    return "plain integers do not live in the engine";
  const { quantMin, quantMax } = quantize.attrs as { quantMin: number; quantMax: number };
  return {
    ...quantizerOf(plan.type(made.output), plan.flip, "roundThenAdd", { nan: "low" }),
    low: quantMin,
    high: quantMax,
    inverse: Math.fround(1 / scale),
  };
}

/**
 * The engine holds 8-bit integers as quantized tensors only, so the node that makes one of the integers is taken over.
 * Rounding first, then the zero point, in the range the operator names; f32(1 / s) is of the double scale.
 */
function emitDecomposed(node: Node, plan: PlanBuilder): string | void {
  const made = node.output.users[0];
  const quantizer = decomposedQuantizer(node, made, plan);
  if (!made || typeof quantizer === "string") return quantizer as string;
  const refused = addQuantize(node, plan, made.output, () => quantizer);
  if (refused === undefined) plan.absorbed.add(made);
  return refused;
}

/** y = dequantize(x), in like forms. */
export function bindDequantize(place: Place, x: Buffer, y: Buffer, dequantizer: Dequantizer): () => void {
  const { engine, at } = place;
  const { kernels } = engine;
  const record = constantRecord(place, D_BYTES, (view, base) => writeDequantizer(view, base, dequantizer));
  const [source, target] = [at(x), at(y)];
  const blocks = rowBlocks([x, y]);
  return () => {
    for (const { rows, count, offsets, strides } of blocks) {
      for (let row = 0; row < rows; row++) {
        kernels.dequantize_bytes(
          count,
          source + offsets[0]! + row * strides[0]!,
          target + offsets[1]! + row * strides[1]!,
          record,
        );
      }
    }
  };
}

function emitDequantize(node: Node, plan: PlanBuilder): string | void {
  const [x] = node.args;
  if (plan.constant(x!)) return "a stored tensor is dequantized";
  const { dtype, qparams } = plan.type(x!);
  if (elementOf(dtype) !== "byte" || qparams?.kind !== "perTensor")
    return "only bytes quantized per tensor have a kernel";
  // Steps that take over what is done to the floats read the bytes themselves.
  plan.makeOnDemand(node.output, () => addDequantize(node, plan));
}

function addDequantize(node: Node, plan: PlanBuilder): void {
  const [x] = node.args;
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
    bind: (place) => bindDequantize(place, input, output, dequantizerOf(input.type, plan.flip, false)),
  });
}

export const quantizeRules: readonly (readonly [string, StepRule])[] = [
  ["quantizePerTensor", { emit: emitQuantize }],
  ["decomposedQuantizePerTensor", { emit: emitDecomposed }],
  ["dequantize", { emit: emitDequantize }],
];
