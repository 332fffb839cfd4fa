/**
 * Strides, dilations and padding of a sliding window, from the attributes ONNX gives them in.
 */

import type { Shape } from "../../tensor/shape.ts";
import type { Call } from "../call.ts";

export interface SlidingWindow {
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  /** Padding before and after each axis. */
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

/** The window over x [N, C, ...] of a kernel. @throws OnnxError for attributes that do not fit. */
export function windowOf(call: Call, x: Shape, kernel: Shape): SlidingWindow {
  const rank = x.length - 2;
  const list = (name: string): number[] => {
    const given = call.ints(name) ?? new Array<number>(rank).fill(1);
    if (given.length !== rank || given.some((v) => v < 1))
      call.fail("needs a positive number an axis", { [name]: given, rank });
    return given;
  };
  const [stride, dilation] = [list("strides"), list("dilations")];
  const mode = call.string("auto_pad", "NOTSET");
  if (mode === "NOTSET" || mode === "VALID") {
    const pads = (mode === "NOTSET" ? call.ints("pads") : null) ?? new Array<number>(2 * rank).fill(0);
    if (pads.length !== 2 * rank) call.fail("needs two pads an axis", { pads, rank });
    return { stride, dilation, begin: pads.slice(0, rank), end: pads.slice(rank) };
  }
  const total = kernel.map((size, i) => {
    const [length, step] = [x[i + 2]!, stride[i]!];
    const out = Math.ceil(length / step);
    return Math.max(0, (out - 1) * step + (size - 1) * dilation[i]! + 1 - length);
  });
  const small = total.map((t) => Math.floor(t / 2));
  const large = total.map((t, i) => t - small[i]!);
  return mode === "SAME_LOWER"
    ? { stride, dilation, begin: large, end: small }
    : { stride, dilation, begin: small, end: large };
}
