/**
 * How a value lies in the engine's memory.
 *
 * `flat` is PyTorch's row-major order. `image` is NHWC with a border that already holds the padding, which is
 * what convolutions and pools read. Quantized bytes are stored in their unsigned form (q minus the dtype's
 * lowest value), with the top bit flipped on machines whose dot product is signed. Values of other dtypes are
 * not in the engine at all: `host` values are ordinary tensors, for operators without a kernel.
 */

import { NO_BORDER, imageSize } from "../kernels/qconv/image.ts";
import type { Border, Image } from "../kernels/qconv/image.ts";
import { dtypeInfo } from "../tensor/dtype.ts";
import type { DType } from "../tensor/dtype.ts";
import { numel } from "../tensor/shape.ts";
import type { Shape } from "../tensor/shape.ts";
import type { TensorType } from "../tensor/tensor.ts";

export type Element = "f32" | "byte" | "host";

export type Form =
  | { readonly kind: "flat"; readonly shape: Shape }
  | { readonly kind: "image"; readonly image: Image; readonly shape: Shape };

export function elementOf(dtype: DType): Element {
  if (dtype === "float32") return "f32";
  return dtype === "quint8" || dtype === "qint8" ? "byte" : "host";
}

export function elementBytes(element: Element): number {
  return element === "f32" ? 4 : 1;
}

/** Bytes a value in this form takes. */
export function formBytes(form: Form, element: Element): number {
  const count = form.kind === "flat" ? numel(form.shape) : imageSize(form.image);
  return count * elementBytes(element);
}

/** [N, C, L] and [N, C, H, W] as a batch of images; null for other ranks. */
export function imageOf(shape: Shape, border: Border = NO_BORDER): Image | null {
  const [n, c] = shape;
  if (shape.length === 4) return { n: n!, c: c!, h: shape[2]!, w: shape[3]!, border };
  if (shape.length === 3) return { n: n!, c: c!, h: 1, w: shape[2]!, border };
  return null;
}

export function flat(shape: Shape): Form {
  return { kind: "flat", shape };
}

/** Zero point in the unsigned form. */
export function unsignedZeroPoint(type: TensorType): number {
  const { dtype, qparams } = type;
  return qparams?.kind === "perTensor" ? qparams.zeroPoint - dtypeInfo[dtype].min : 0;
}

/** True when row-major NCHW and NHWC are the same order: one pixel, or one channel, and no border. */
export function isOrderFree({ h, w, c, border }: Image): boolean {
  const bordered = border.top + border.bottom + border.left + border.right > 0;
  return !bordered && (c === 1 || h * w === 1);
}
