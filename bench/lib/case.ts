/**
 * What is timed, as plain data that every process reads alike. A case says the work; a candidate knows how to do it.
 */

/** Layer sizes of a convolution, NCHW, square. */
export interface ConvSizes {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly groups: number;
}

/** Rates, where more is better; of milliseconds and kilobytes less is. */
export type Unit = "GOP/s" | "images/s" | "GB/s" | "ms" | "KB";

export type Precision = "f32" | "int8";

export type Work =
  | { readonly kind: "gemm"; readonly rows: number; readonly depth: number; readonly columns: number }
  | { readonly kind: "conv"; readonly sizes: ConvSizes }
  | { readonly kind: "network"; readonly batch: number }
  /** A step of training; QAT where the precision is int8. */
  | { readonly kind: "train"; readonly batch: number }
  | { readonly kind: "calibrate"; readonly batch: number }
  | { readonly kind: "convGradients"; readonly sizes: ConvSizes }
  /** An integer kernel by its name in bench/kernels/int8.ts. */
  | { readonly kind: "kernel" };

export interface BenchCase {
  /** Unique; `--only` looks for parts of it. */
  readonly name: string;
  readonly group: string;
  readonly work: Work;
  readonly precision: Precision;
  /** What one call counts for: operations (a multiply-add is two), images, or bytes. */
  readonly amount: number;
  readonly unit: Unit;
  readonly candidates: readonly string[];
}

/** The measured quantity in the case's unit, from the milliseconds (or kilobytes) of one call. */
export function rateOf({ amount, unit }: Pick<BenchCase, "amount" | "unit">, ms: number): number {
  if (unit === "ms" || unit === "KB") return ms;
  return unit === "images/s" ? (amount / ms) * 1000 : amount / ms / 1e6;
}

export function convOutput({ size, kernel, stride }: ConvSizes): number {
  return Math.floor((size + 2 * ((kernel - 1) / 2) - kernel) / stride) + 1;
}

export function convOperations(sizes: ConvSizes): number {
  const { inChannels, outChannels, kernel, groups } = sizes;
  return (2 * convOutput(sizes) ** 2 * outChannels * inChannels * kernel ** 2) / groups;
}

export function convName({ inChannels, outChannels, size, kernel, stride, groups }: ConvSizes): string {
  const channels = inChannels === outChannels ? `C${inChannels}` : `C${inChannels}-${outChannels}`;
  const kind = groups > 1 ? "depthwise " : "";
  return `${kind}${kernel}x${kernel} ${channels} ${size}²${stride > 1 ? ` stride ${stride}` : ""}`;
}
