/** Conversions between f32 and stored bytes. */

export interface QuantizeKernel {
  readonly name: string;
  readonly isa: "simd128";
}

export const quantize = [
  { name: "quantize_bytes", isa: "simd128" },
  { name: "dequantize_bytes", isa: "simd128" },
  { name: "quantize_nchw_nhwc", isa: "simd128" },
  { name: "dequantize_nhwc_nchw", isa: "simd128" },
] as const satisfies readonly QuantizeKernel[];
