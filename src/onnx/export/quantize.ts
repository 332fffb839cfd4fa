/**
 * Quantize and dequantize as ONNX's QuantizeLinear and DequantizeLinear.
 */

import { unsupported } from "../call.ts";
import { allocate, dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { fromArray } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { derived } from "../deferred-tensor.ts";
import type { ExportCall, ExportRules } from "./call.ts";

/** Opset that first has the integer type in Q and DQ. */
function needType(call: ExportCall, dtype: DType): void {
  const { bits } = dtypeInfo[dtype];
  if (bits === 8) call.writer.need(dtypeInfo[dtype].kind === "float" ? 19 : 13, dtype);
  else if (bits !== 32) call.writer.need(21, dtype);
}

/** The same numbers in another dtype that holds them. */
function inDType(tensor: Tensor, dtype: DType): Tensor {
  if (tensor.dtype === dtype) return tensor;
  return derived(tensor, dtype, tensor.shape, () => {
    const values = allocate(dtype, tensor.numel);
    values.set(tensor.data);
    return values;
  });
}

/** Zero points in the dtype of the integers; zeros where the node has none. */
function zeroPoint(call: ExportCall, dtype: DType, count: number): string {
  const stored = call.tensor(2);
  if (stored) return call.writer.constant(inDType(stored, dtype), "zero_point");
  const arg = call.node.args[2] ?? null;
  if (arg === null)
    return call.writer.constant(fromArray(new Array<number>(count).fill(0), [count], dtype), "zero_point");
  return call.input(2, dtype);
}

function parameters(call: ExportCall, dtype: DType): { inputs: string[]; axis: { int: number } | undefined } {
  const axis = call.attrs["axis"] as number | null;
  const scales = call.tensor(1);
  const scale = scales ? call.writer.constant(inDType(scales, "float32"), "scale") : call.input(1, "float32");
  const count = axis === null ? 1 : call.type(0).shape[axis]!;
  return { inputs: [scale, zeroPoint(call, dtype, count)], axis: axis === null ? undefined : { int: axis } };
}

/** A range narrower than the dtype's is kept by clipping x first: rounding keeps order, so the integers are the same. */
function narrowed(call: ExportCall, x: string): string {
  const dtype = call.attrs["dtype"] as DType;
  const [low, high] = [call.number("quantMin"), call.number("quantMax")];
  const { min, max } = dtypeInfo[dtype];
  const [scale, zero] = [call.node.args[1], call.node.args[2] ?? 0];
  if ((low === min && high === max) || typeof scale !== "number" || typeof zero !== "number") return x;
  return call.emit("Clip", [
    x,
    call.scalar((low - zero) * scale, "float32"),
    call.scalar((high - zero) * scale, "float32"),
  ]);
}

function quantize(call: ExportCall): void {
  const dtype = call.attrs["dtype"] as DType;
  needType(call, dtype);
  const { inputs, axis } = parameters(call, dtype);
  call.give("QuantizeLinear", [narrowed(call, call.input(0)), ...inputs], { axis });
}

/** The 4-bit type of stored bytes that use no more than 16 levels; null for all others. */
function fourBits(call: ExportCall, dtype: DType): DType | null {
  const [low, high] = [call.number("quantMin"), call.number("quantMax")];
  if (!call.tensor(0)) return null;
  if (dtype === "int8" && low >= -8 && high <= 7) return "int4";
  return dtype === "uint8" && low >= 0 && high <= 15 ? "uint4" : null;
}

function dequantize(call: ExportCall): void {
  const own = call.attrs["dtype"] as DType;
  const four = fourBits(call, own);
  const dtype = four ?? own;
  needType(call, dtype);
  const { inputs, axis } = parameters(call, dtype);
  const stored = call.tensor(0);
  const integers = four && stored ? call.writer.constant(inDType(stored, four), "weight") : call.input(0);
  call.give("DequantizeLinear", [integers, ...inputs], { axis });
}

/** One scale a block along one axis. */
function dequantizeBlocks(call: ExportCall): void {
  const [q, block] = [call.type(0), call.list("blockSize")];
  const axis = block.findIndex(
    (size, i) => size !== 1 && !(size === q.shape[i] && block.some((s, k) => k !== i && s !== 1)),
  );
  const others = block.every((size, i) => i === axis || size === 1);
  if (!others || axis < 0) call.fail("ONNX has blocks along one axis only", { blockSize: block });
  if (call.attrs["zeroPointDomain"] !== "INT") call.fail("ONNX has integer zero points only");
  call.writer.need(21, "blocks");
  const zero = call.tensor(2);
  const scale = call.tensor(1) ?? call.fail("scales must be stored in the graph");
  const stored = call.tensor(0);
  const four = fourBits(call, q.dtype);
  const dtype = four ?? q.dtype;
  const integers = four && stored ? call.writer.constant(inDType(stored, dtype), "weight") : call.input(0);
  const zeros = zero ? [call.writer.constant(inDType(zero, dtype), "zero_point")] : [];
  const scales = call.writer.constant(inDType(scale, "float32"), "scale");
  call.give("DequantizeLinear", [integers, scales, ...zeros], {
    axis: { int: axis },
    block_size: { int: block[axis]! },
  });
}

export const quantizeExports: ExportRules = {
  decomposedDequantizePerChannel: dequantize,
  decomposedDequantizePerTensor: dequantize,
  decomposedQuantizePerChannel: quantize,
  decomposedQuantizePerTensor: quantize,
  dequantizeAffine: dequantizeBlocks,
  quantizeAffine: unsupported("ONNX quantizes blocks only of stored weights: fold constants first"),
};
