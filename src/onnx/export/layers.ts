/**
 * Export of layers: products, pools, normalizations, resizing and attention.
 */

import { full } from "../../tensor/create.ts";
import { numel } from "../../tensor/shape.ts";
import type { ExportCall, ExportRule } from "./call.ts";

export function convolution(call: ExportCall): void {
  const pads = call.list("padding");
  const attributes = {
    strides: { ints: call.list("stride") },
    pads: { ints: [...pads, ...pads] },
    dilations: { ints: call.list("dilation") },
    group: { int: call.number("groups") },
  };
  call.give("Conv", call.inputs.slice(0, call.has(2) ? 3 : 2), attributes);
}

export function convTranspose(call: ExportCall): void {
  const pads = call.list("padding");
  call.give("ConvTranspose", call.inputs.slice(0, call.has(2) ? 3 : 2), {
    strides: { ints: call.list("stride") },
    pads: { ints: [...pads, ...pads] },
    dilations: { ints: call.list("dilation") },
    group: { int: call.number("groups") },
    output_padding: { ints: call.list("outputPadding") },
  });
}

/** Stored weights of more than two axes were turned before (matrices.ts). */
export function linear(call: ExportCall): void {
  if (call.type(0).shape.length === 2) {
    call.give("Gemm", call.inputs.slice(0, call.has(2) ? 3 : 2), { transB: { int: 1 } });
    return;
  }
  const weight = call.emit("Transpose", [call.input(1)], { perm: { ints: [1, 0] } });
  if (!call.has(2)) call.give("MatMul", [call.input(0), weight]);
  else call.give("Add", [call.emit("MatMul", [call.input(0), weight]), call.input(2)]);
}

function poolAttributes(call: ExportCall) {
  const pads = call.list("padding");
  return {
    kernel_shape: { ints: call.list("kernelSize") },
    strides: { ints: call.list("stride") },
    pads: { ints: [...pads, ...pads] },
    ceil_mode: { int: Number(call.flag("ceilMode")) },
  };
}

export function averagePool(call: ExportCall): void {
  if (call.attrs["divisorOverride"] !== null) call.fail("ONNX has no divisorOverride");
  call.give("AveragePool", [call.input(0)], {
    ...poolAttributes(call),
    count_include_pad: { int: Number(call.flag("countIncludePad")) },
  });
}

export function maxPool(call: ExportCall): void {
  call.give("MaxPool", [call.input(0)], { ...poolAttributes(call), dilations: { ints: call.list("dilation") } });
}

/** Global, or windows of equal size; others overlap unevenly, which ONNX cannot say. */
export function adaptive(globalOp: string, opType: string): ExportRule {
  return (call) => {
    const size = call.list("outputSize");
    if (size.every((n) => n === 1)) {
      call.give(globalOp, [call.input(0)]);
      return;
    }
    const spatial = call.type(0).shape.slice(2);
    if (spatial.some((n, i) => n % size[i]! !== 0))
      call.fail("ONNX has no windows of uneven sizes", { spatial, outputSize: size });
    const kernel = spatial.map((n, i) => n / size[i]!);
    call.give(opType, [call.input(0)], { kernel_shape: { ints: kernel }, strides: { ints: kernel } });
  };
}

export function batchNorm(call: ExportCall): void {
  if (call.flag("training")) call.fail("batch norm must be in eval mode", {});
  const channels = call.type(0).shape[1]!;
  const { dtype } = call.type(0);
  const filled = (i: number, value: number): string =>
    call.has(i) ? call.input(i) : call.writer.constant(full([channels], value, { dtype }), "filled");
  const inputs = [call.input(0), filled(1, 1), filled(2, 0), filled(3, 0), filled(4, 1)];
  call.writer.node("BatchNormalization", inputs, [call.writer.nameOf(call.node.outputs[0]!)], {
    epsilon: { float: call.number("eps") },
  });
}

export function layerNorm(call: ExportCall): void {
  call.writer.need(17, "LayerNormalization");
  const shape = call.list("normalizedShape");
  const { dtype } = call.type(0);
  const weight = call.has(1) ? call.input(1) : call.writer.constant(full(shape, 1, { dtype }), "ones");
  call.give("LayerNormalization", [call.input(0), weight, ...(call.has(2) ? [call.input(2)] : [])], {
    axis: { int: -shape.length },
    epsilon: { float: call.number("eps") },
  });
}

export function instanceNorm(call: ExportCall): void {
  const { dtype, shape } = call.type(0);
  const filled = (i: number, value: number): string =>
    call.has(i) ? call.input(i) : call.writer.constant(full([shape[1]!], value, { dtype }), "filled");
  call.give("InstanceNormalization", [call.input(0), filled(1, 1), filled(2, 0)], {
    epsilon: { float: call.number("eps") },
  });
}

export function groupNorm(call: ExportCall): void {
  call.writer.need(21, "GroupNormalization");
  const { dtype, shape } = call.type(0);
  const filled = (i: number, value: number): string =>
    call.has(i) ? call.input(i) : call.writer.constant(full([shape[1]!], value, { dtype }), "filled");
  call.give("GroupNormalization", [call.input(0), filled(1, 1), filled(2, 0)], {
    num_groups: { int: call.number("numGroups") },
    epsilon: { float: call.number("eps") },
  });
}

export function interpolate(call: ExportCall): void {
  call.writer.need(18, "Resize along named axes");
  const size = call.list("size");
  const mode = call.attrs["mode"] as string;
  const nearest = mode === "nearest";
  if (mode === "nearest-exact") call.fail("ONNX has no nearest-exact");
  call.give("Resize", [call.input(0), "", "", call.ints(size)], {
    axes: { ints: size.map((_, i) => i + 2) },
    mode: { string: nearest ? "nearest" : mode === "bicubic" ? "cubic" : "linear" },
    coordinate_transformation_mode: {
      string: nearest ? "asymmetric" : call.flag("alignCorners") ? "align_corners" : "half_pixel",
    },
    nearest_mode: nearest ? { string: "floor" } : undefined,
  });
}

export function attention(call: ExportCall): void {
  if (call.flag("isCausal")) call.fail("causal attention must be given as a mask");
  const rank = call.type(1).shape.length;
  const perm = Array.from({ length: rank }, (_, i) => (i === rank - 2 ? rank - 1 : i === rank - 1 ? rank - 2 : i));
  const scores = call.emit("MatMul", [
    call.emit("Mul", [call.input(0), call.scalar(call.number("scale"))]),
    call.emit("Transpose", [call.input(1)], { perm: { ints: perm } }),
  ]);
  if (call.has(3) && call.type(3).dtype === "bool") call.fail("a bool mask must be given as numbers to add");
  const masked = call.has(3) ? call.emit("Add", [scores, call.input(3)]) : scores;
  call.give("MatMul", [call.emit("Softmax", [masked], { axis: { int: -1 } }), call.input(2)]);
}

export function prelu(call: ExportCall): void {
  const [x, weight] = [call.type(0), call.type(1)];
  const shape = numel(weight.shape) === 1 ? [1] : [numel(weight.shape), ...x.shape.slice(2).map(() => 1)];
  call.give("PRelu", [call.input(0), call.emit("Reshape", [call.input(1), call.ints(shape)])]);
}
