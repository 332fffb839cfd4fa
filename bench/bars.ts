/**
 * The bars the engine is held to, and how each is read off a run's results. Ratios are the median over rounds, within one case
 * where both sides are in it. Rates depend on the clock: they are read as a share of the processor's peak, measured in turns
 * with the work, and held against the bar's share of the peak where the bars were set.
 */

import { peaks } from "./kernels/peak.ts";
import type { PeakName } from "./kernels/peak.ts";
import { rate, ratio, scaledRate } from "./lib/results.ts";
import type { CaseResult, Results } from "./lib/results.ts";

type Find = (name: string) => CaseResult | undefined;

export interface Bar {
  readonly work: string;
  readonly than: string;
  /** Least value that meets the bar; most, where less is better. */
  readonly bound: number;
  readonly unit: string;
  readonly isMost?: boolean;
  /** The rate as it was, of a bar whose value is scaled to the peak of the bars. */
  unscaled?(find: Find): number | null;
  measure(find: Find): number | null;
}

function times(work: string, than: string, bound: number, name: string, a: string, b: string): Bar {
  return {
    work, than, bound, unit: "x",
    measure(find) {
      const result = find(name);
      return result ? ratio(result, a, b) : null;
    },
  }; // prettier-ignore
}

function rates(work: string, bound: number, unit: string, name: string, peak: PeakName): Bar {
  const yardstick = peak === "int8 dot product" ? "peak-int8" : "peak-f32";
  return {
    work, than: "", bound, unit,
    measure(find) {
      const result = find(name);
      return result ? scaledRate(result, "fewbit", yardstick, peaks[peak].ofBars) : null;
    },
    unscaled(find) {
      const result = find(name);
      return result ? rate(result, "fewbit") : null;
    },
  }; // prettier-ignore
}

function atMost(work: string, bound: number, unit: string, name: string): Bar {
  return {
    work, than: "", bound, unit, isMost: true,
    measure(find) {
      const result = find(name);
      return result ? rate(result, "fewbit") : null;
    },
  }; // prettier-ignore
}

const C64 = "conv 3x3 C64 56²";
const INT8 = "int8 dot product";
const F32 = "f32 multiply-add";
const WEB = "onnxruntime-web";
const WEB8 = "onnxruntime-web int8";
/** Two rows each: the native peer as on the processor the bars were set on, and with all this one has. */
const NATIVE = [
  ["-avx2", "AVX-VNNI, as where the bar was set"],
  ["", "all its instructions"],
] as const;

function natives(work: string, precision: string, bound: number, name: string, peer: string): Bar[] {
  return NATIVE.map(([end, instructions]) =>
    times(work, `native onnxruntime${precision} (${instructions})`, bound, name, "fewbit", `${peer}${end}`),
  );
}

export const bars: readonly Bar[] = [
  times("int8 GEMM 1024³", WEB, 3.3, "GEMM 1024³ int8", "fewbit", "ort-web"),
  rates("int8 GEMM 1024³, kernel", 220, "GOP/s", "kernel gemm 1024 x 1024 x 1024", INT8),
  rates("int8 conv 3x3, C=16, kernel", 200, "GOP/s", "kernel conv 3x3 16->16 32²", INT8),
  rates("int8 conv 3x3, C=32, kernel", 225, "GOP/s", "kernel conv 3x3 32->32 16²", INT8),
  rates("int8 conv 3x3, C=64, kernel", 225, "GOP/s", "kernel conv 3x3 64->64 56²", INT8),
  times("int8 conv 3x3 C64 56²", WEB, 3.7, `${C64} int8`, "fewbit", "ort-web"),
  rates("int8 conv 1x1, K=16, kernel", 115, "GOP/s", "kernel conv 1x1 16->64 56²", INT8),
  rates("int8 conv 1x1, K=64, kernel", 200, "GOP/s", "kernel conv 1x1 64->64 28²", INT8),
  rates("int8 depthwise 3x3, kernel", 65, "GOP/s", "kernel depthwise 256 28² s1 rows", INT8),
  times("f32 GEMM 1024³", WEB, 1.5, "GEMM 1024³ f32", "fewbit", "ort-web"),
  times("f32 conv 3x3 C64 56²", WEB, 4, `${C64} f32`, "fewbit", "ort-web"),
  ...natives("f32 conv 3x3 C64 56²", "", 1, `${C64} f32`, "ort-node"),
  ...[1, 50].flatMap((batch) => {
    const int8 = `network batch ${batch} int8`;
    const work = `ResNet-20 int8, batch ${batch}`;
    return [
      times(work, WEB8, batch === 1 ? 5.5 : 4.6, int8, "fewbit", "ort-web"),
      ...natives(work, " f32", 1.5, int8, "ort-node-f32"),
      ...natives(work, " int8", 0.75, int8, "ort-node"),
      times(`${work}, plain SIMD build`, WEB8, 1.4, int8, "fewbit-simd", "ort-web"),
    ];
  }),
  times("ResNet-20 f32, batch 50", `${WEB} f32`, 3.5, "network batch 50 f32", "fewbit", "ort-web"),
  rates("ResNet-20 training step, batch 32", 315, "images/s", "training step batch 32", F32),
  rates("ResNet-20 QAT step, batch 32", 250, "images/s", "QAT step batch 32", F32),
  times("QAT step", "float training step", 0.8, "QAT step batch 32", "fewbit", "fewbit-plain"),
  times("two threads, int8, batch 50", "one thread", 1.7, "network batch 50 int8", "fewbit-2t", "fewbit"),
  times("two threads, f32, batch 50", "one thread", 1.7, "network batch 50 f32", "fewbit-2t", "fewbit"),
  rates("conv gradients C64 56², both", 100, "GOP/s", "conv gradients 3x3 C64 56²", F32),
  times(
    "calibration, histogram observers",
    "plain f32 inference",
    0.75,
    "calibration batch 50, histogram observers",
    "fewbit",
    "fewbit-plain",
  ),
  atMost("bytes a page loads, gzip", 150, "KB", "bytes a page loads"),
  atMost("first run once the model is read, int8", 30, "ms", "first run, int8"),
  atMost("first result once the library is imported, int8", 30, "ms", "first result after import, int8"),
];

export interface JudgedBar extends Bar {
  readonly value: number | null;
  /** A rate as it was measured. */
  readonly plain: number | null;
  /** Null when it was not measured. */
  readonly isMet: boolean | null;
}

export function judge({ cases }: Results): JudgedBar[] {
  const find = (name: string): CaseResult | undefined => cases.find((result) => result.name === name);
  return bars.map((bar) => {
    const value = bar.measure(find);
    const isMet = value === null ? null : bar.isMost ? value <= bar.bound : value >= bar.bound;
    return { ...bar, value, plain: bar.unscaled?.(find) ?? null, isMet };
  });
}
