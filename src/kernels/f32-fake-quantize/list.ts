/** Fake quantization and its straight-through gradient. Every kernel is in both builds. */

import type { Kernel } from "../kernel.ts";

export const f32FakeQuantize = [
  { name: "f32_fake_quantize", isa: "simd128" },
  { name: "f32_fake_quantize_grad", isa: "simd128" },
  { name: "f32_channel_fake_quantize", isa: "simd128" },
  { name: "f32_rows_mul", isa: "simd128" },
  { name: "f32_rows_dot", isa: "simd128" },
  { name: "f32_rows_fake_quantize", isa: "simd128" },
  { name: "f32_rows_fake_quantize_grad", isa: "simd128" },
  { name: "f32_rows_min_max", isa: "simd128" },
] as const satisfies readonly Kernel[];
