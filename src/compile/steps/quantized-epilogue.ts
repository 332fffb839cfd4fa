/**
 * From a quantized operator's tensors and attributes to the integer kernels' epilogue.
 */

import { accumulatorScale } from "../../kernels/qgemm/post.ts";
import type { Bias, Epilogue } from "../../kernels/qgemm/post.ts";
import type { Rounding } from "../../ops/quantized/engines.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import { rint } from "../../tensor/rounding.ts";
import type { Tensor, TensorType } from "../../tensor/tensor.ts";
import { unsignedZeroPoint } from "../form.ts";

const { fround } = Math;

/** Largest value of the unsigned form of a byte. */
const BYTE_MAX = 255;

/** qnnpack's bias: rounded to integers in units of sx * sw, which join the sum. */
function integerBias(values: ArrayLike<number>, { inputScale, weightScales }: Epilogue): Bias {
  const scaleOf = (o: number): number => accumulatorScale(inputScale, weightScales[weightScales.length === 1 ? 0 : o]!);
  return { kind: "int32", values: Int32Array.from(values, (v, o) => rint(fround(v * fround(1 / scaleOf(o))))) };
}

interface EpilogueOptions {
  /** Whether relu is fused: a lower clamp at the zero point. */
  readonly relu?: boolean;
  readonly rounding?: Rounding;
}

/**
 * Epilogue of a layer: with 8-bit output in fbgemm's order, or qnnpack's, which has another bias; with float output, and
 * for oneDNN (quantized-reals.ts), in two roundings.
 */
export function epilogueOf(
  x: TensorType,
  weight: Tensor,
  bias: Tensor | null,
  output: TensorType,
  { relu = false, rounding = "fbgemm" }: EpilogueOptions = {},
): Epilogue {
  const weightParams = weight.qparams!;
  const outputScale = output.qparams?.kind === "perTensor" ? output.qparams.scale : NaN;
  const zeroPoint = unsignedZeroPoint(output);
  const kind = bias?.dtype === "int32" ? "int32" : "float";
  const stored: Bias = bias ? { kind, values: bias.data } : { kind: "none" };
  const epilogue: Epilogue = {
    inputScale: x.qparams?.kind === "perTensor" ? x.qparams.scale : NaN,
    inputZeroPoint: unsignedZeroPoint(x),
    weightScales: weightParams.kind === "perTensor" ? [weightParams.scale] : weightParams.scales,
    bias: stored,
    output:
      output.dtype === "float32" || rounding === "onednn"
        ? { kind: "f32Twice" }
        : { kind: "bytes", scale: outputScale, zeroPoint, low: relu ? zeroPoint : 0, high: BYTE_MAX },
  };
  const rounds = rounding === "qnnpack" && bias !== null && kind === "float";
  return rounds ? { ...epilogue, bias: integerBias(bias.data, epilogue) } : epilogue;
}

/** Weight zero points, one a channel or one in all. */
export function weightZeroPoints(weight: Tensor): readonly number[] {
  const { qparams } = weight;
  return qparams?.kind === "perTensor" ? [qparams.zeroPoint] : (qparams?.zeroPoints ?? []);
}

/** Why the integer kernels cannot take these tensors; null when they can. */
export function refuseQuantized(
  x: TensorType,
  weight: Tensor | null,
  bias: Tensor | null,
  hasBias: boolean,
): string | null {
  if (!weight) return "the weight is not a stored tensor";
  if (hasBias && !bias) return "the bias is not a stored tensor";
  if (x.qparams?.kind !== "perTensor" || dtypeInfo[x.dtype].bits !== 8)
    return "the input is not an 8-bit tensor quantized per tensor";
  return weight.dtype === "qint8" ? null : "the weight is not qint8";
}
