/**
 * Quantization parameters: how integers stand for real numbers, real = (q - zeroPoint) * scale.
 *
 * Values are frozen data; which case a tensor has is the `kind` field. Scales of the affine kinds are
 * doubles and zero points integers, those of `perChannelFloat` (PyTorch's float_qparams, used by
 * embeddings) are float32, as in PyTorch's quantizers (ATen/quantized/Quantizer.h).
 */

import { ArgumentError, ShapeError } from "../errors.ts";
import type { Shape } from "./shape.ts";

export type QScheme =
  | "per_tensor_affine"
  | "per_tensor_symmetric"
  | "per_channel_affine"
  | "per_channel_symmetric"
  | "per_channel_affine_float_qparams";

export interface PerTensorQParams {
  readonly kind: "perTensor";
  readonly scale: number;
  readonly zeroPoint: number;
}

export interface PerChannelQParams {
  readonly kind: "perChannel" | "perChannelFloat";
  /** One scale a slice of `axis`. */
  readonly scales: readonly number[];
  readonly zeroPoints: readonly number[];
  readonly axis: number;
}

export type QParams = PerTensorQParams | PerChannelQParams;

export function perTensor(scale: number, zeroPoint: number): PerTensorQParams {
  return { kind: "perTensor", scale, zeroPoint };
}

/** Array.from, which takes several times as long for typed arrays. */
function listOf(values: ArrayLike<number>): number[] {
  const list = new Array<number>(values.length);
  for (let i = 0; i < list.length; i++) list[i] = values[i]!;
  return list;
}

/** Per-channel parameters. @throws ArgumentError when the two lists differ in length. */
export function perChannel(
  scales: ArrayLike<number>,
  zeroPoints: ArrayLike<number>,
  axis: number,
  kind: PerChannelQParams["kind"] = "perChannel",
): PerChannelQParams {
  if (scales.length !== zeroPoints.length) {
    throw new ArgumentError(
      "perChannel",
      { scales: scales.length, zeroPoints: zeroPoints.length },
      "there must be one zero point for every scale",
    );
  }
  return { kind, scales: listOf(scales), zeroPoints: listOf(zeroPoints), axis };
}

export function isPerChannelScheme(scheme: QScheme): boolean {
  return scheme.startsWith("per_channel");
}

export function isSymmetricScheme(scheme: QScheme): boolean {
  return scheme === "per_tensor_symmetric" || scheme === "per_channel_symmetric";
}

/** @throws ShapeError when per-channel parameters do not fit the tensor's axis. */
export function checkQParams(where: string, qparams: QParams, shape: Shape): void {
  if (qparams.kind === "perTensor") return;
  const size = shape[qparams.axis];
  if (size !== qparams.scales.length) {
    throw new ShapeError(
      where,
      { shape, axis: qparams.axis, scales: qparams.scales.length },
      "there must be one scale for every slice of the channel axis",
    );
  }
}
