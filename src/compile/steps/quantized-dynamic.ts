/**
 * linearDynamic and decomposedLinearDynamic → range of the input, its bytes, the integer product with float results.
 *
 * Scale and zero point are known when the step runs; then it writes what depends on them: the quantizer's record, and
 * start and multiplier of every output channel.
 */

import type { Node } from "../../graph/graph.ts";
import { gemmPart, readZeroPoint } from "../../kernels/qgemm/gemm.ts";
import { POST } from "../../kernels/qgemm/layout.ts";
import { PartBlock } from "../../kernels/qgemm/parts.ts";
import type { Part } from "../../kernels/qgemm/parts.ts";
import { rescalePost } from "../../kernels/qgemm/post.ts";
import { Q_BYTES } from "../../kernels/quantize/layout.ts";
import { ruleCode, writeQuantizer } from "../../kernels/quantize/rules.ts";
import type { Quantizer } from "../../kernels/quantize/rules.ts";
import { dispatch, findOp } from "../../ops/op.ts";
import type { ChooseAttrs } from "../../ops/quantize/choose.ts";
import { calculateQParams, chooseQuantizationParams } from "../../ops/quantize/numerics.ts";
import { dynamicReduceRange } from "../../ops/quantized/engines.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { noGrad } from "../../tensor/context.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { QuantizedDType } from "../../tensor/dtype.ts";
import { perTensor } from "../../tensor/qparams.ts";
import { numel } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { flat } from "../form.ts";
import type { Buffer } from "../buffer.ts";
import type { Place, PlanBuilder, StepRule } from "../plan.ts";
import { load, store } from "../transfer.ts";
import { linesOf } from "../lines.ts";
import { placeParts, runPlaced } from "./parts.ts";
import { epilogueOf, refuseQuantized, weightZeroPoints } from "./quantized-epilogue.ts";
import { quantizerOf } from "./quantized-storage.ts";

/** How a step chooses parameters of its input and quantizes by them. */
interface Scheme {
  readonly dtype: QuantizedDType;
  readonly parameters: (min: number, max: number) => { readonly scale: number; readonly zeroPoint: number };
  readonly quantizer: (parameters: { readonly scale: number; readonly zeroPoint: number }) => Quantizer;
  /** Whether product and bias are rounded once. */
  readonly fused: boolean;
  readonly relu: boolean;
}

/** Where a byte's type with parameters not known yet is needed. */
const UNKNOWN = perTensor(1, 0);

function eagerScheme({ attrs }: Node, plan: PlanBuilder): Scheme {
  const { relu, reduceRange, engine } = attrs as { relu: boolean; reduceRange: boolean; engine: QEngine };
  const range = {
    quantMin: dtypeInfo.quint8.min,
    quantMax: dtypeInfo.quint8.max,
    reduceRange: dynamicReduceRange(engine, reduceRange),
  };
  return {
    dtype: "quint8",
    parameters: (min, max) => chooseQuantizationParams(min, max, range),
    quantizer: ({ scale, zeroPoint }) =>
      quantizerOf({ dtype: "quint8", shape: [], qparams: perTensor(scale, zeroPoint) }, plan.flip, "addThenRound", {
        nan: "high",
      }),
    fused: true,
    relu,
  };
}

function decomposedScheme({ attrs }: Node, plan: PlanBuilder): Scheme {
  const { quantMin, quantMax, eps, dtype: integer, symmetric } = attrs as ChooseAttrs;
  const qscheme = symmetric ? "per_tensor_symmetric" : "per_tensor_affine";
  const dtype = integer === "int8" ? "qint8" : "quint8";
  return {
    dtype,
    parameters: (min, max) =>
      calculateQParams(min, max, { quantMin, quantMax, eps, dtype: integer, qscheme, customRange: false }),
    quantizer: ({ scale, zeroPoint }) => ({
      ...quantizerOf({ dtype, shape: [], qparams: perTensor(scale, zeroPoint) }, plan.flip, "roundThenAdd"),
      low: quantMin,
      high: quantMax,
      inverse: Math.fround(1 / scale),
    }),
    fused: false,
    relu: false,
  };
}

interface DynamicStep {
  readonly scheme: Scheme;
  readonly part: Part;
  readonly weight: Tensor;
  readonly input: Buffer;
  readonly bytes: Buffer;
  readonly output: Buffer;
  readonly operations: number;
  /** Runs the operator's reference, for inputs without a finite range. */
  readonly reference: (x: Tensor) => Tensor;
}

function bindDynamic(place: Place, plan: PlanBuilder, step: DynamicStep): () => void {
  const { engine, at, constant } = place;
  const { scheme, part, input, bytes, output } = step;
  const { kernels, memory } = engine;
  const count = numel(input.form.shape);
  const { tables: [lines] } = linesOf(place, [input]); // prettier-ignore
  const [range, record] = [constant(2 * Float32Array.BYTES_PER_ELEMENT), constant(Q_BYTES)];
  const placed = placeParts(place, new PartBlock([part], engine.threads));
  const run = runPlaced(place, placed, at(bytes), at(output), step.operations);
  const post = new DataView(memory.wasm.buffer).getInt32(placed[0]!.descriptor + POST, true);
  const scales = step.weight.qparams?.kind === "perTensor" ? [step.weight.qparams.scale] : weightScales(step.weight);
  const [source, target] = [at(input), at(bytes)];
  const [results, offset] = [numel(output.form.shape), scheme.dtype === "qint8" ? 128 : 0];
  return () => {
    kernels.f32_min_max(0, 1, lines!, source, count, range);
    const [min, max] = memory.f32(range, 2);
    if (!Number.isFinite(min) || !Number.isFinite(max)) {
      const y = step.reference(load(engine, input, source, plan.flip));
      store(engine, output, at(output), y, plan.flip);
      return;
    }
    const parameters = scheme.parameters(min!, max!);
    const quantizer = scheme.quantizer(parameters);
    const view = new DataView(memory.wasm.buffer);
    writeQuantizer(view, record, quantizer);
    kernels.quantize_bytes(ruleCode(quantizer.rule), count, source, target, record);
    const zeroPoint = readZeroPoint(parameters.zeroPoint + offset, part.weights.variant, part.flip);
    rescalePost(view, post, { sums: part.weights.sums, scales, inputScale: parameters.scale, zeroPoint });
    run();
    if (scheme.relu) kernels.f32_clamp(0, 1, lines!, lines!, at(output), at(output), results, 0, Infinity);
  };
}

function weightScales({ qparams }: Tensor): readonly number[] {
  return qparams?.kind === "perChannel" ? qparams.scales : [];
}

function emitWith(schemeOf: (node: Node, plan: PlanBuilder) => Scheme): StepRule["emit"] {
  return (node, plan) => {
    const [x, w, b] = node.args;
    const type = plan.type(x!);
    const [weight, bias] = [plan.constant(w!), plan.constant(b ?? null)];
    const scheme = schemeOf(node, plan);
    const byteType = { dtype: scheme.dtype, shape: type.shape, qparams: UNKNOWN };
    const refused = refuseQuantized(byteType, weight, bias, b !== null);
    if (refused || !weight) return refused ?? "";
    if (type.dtype !== "float32" || numel(type.shape) === 0) return "only float32 tensors with elements have a range";
    if (bias && bias.dtype !== "float32") return "the bias is not float32";
    const input = plan.read(x!, node, { kind: "flat" });
    const output = plan.write(node.output, "flat");
    const bytes = plan.scratch(byteType, flat(type.shape));
    const [channels, depth] = weight.shape as [number, number];
    const rows = numel(type.shape) / depth;
    const epilogue = epilogueOf(byteType, weight, bias, output.type);
    const part = gemmPart(
      {
        rows,
        depth,
        channels,
        weights: weight.data as Int8Array,
        weightZeroPoints: weightZeroPoints(weight),
        epilogue: { ...epilogue, output: { kind: scheme.fused ? "f32" : "f32Twice" } },
      },
      plan.choice,
    );
    const operations = 2 * rows * depth * channels;
    const reference = (tensor: Tensor): Tensor =>
      noGrad(() => dispatch(findOp(node.target), [tensor, weight, bias], node.attrs))[0]!;
    plan.step({
      node,
      kernel: `range, quantize, qgemm ${part.weights.variant}`,
      precision: "int8",
      why: "",
      operations,
      reads: [input],
      writes: [bytes, output],
      bind: (place) => bindDynamic(place, plan, { scheme, part, weight, input, bytes, output, operations, reference }),
    });
  };
}

export const quantizedDynamicRules: readonly (readonly [string, StepRule])[] = [
  ["linearDynamic", { emit: emitWith(eagerScheme) }],
  ["decomposedLinearDynamic", { emit: emitWith(decomposedScheme) }],
];
