/** Weight gradients of convolutions. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32ConvWeight = [{ name: "f32_conv_weight_6x8", isa: "simd128" }] as const satisfies readonly Kernel[];
