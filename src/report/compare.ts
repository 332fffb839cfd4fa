/**
 * `compare`: where a quantized model departs from the float one, layer by layer.
 *
 * Both models run on the same data and every layer's input and output is kept. The error at a layer's output has two
 * parts: what came in wrong, and what the layer adds. They are told apart by running the float layer once more on the
 * quantized model's input: the distance from there is made here, the rest is inherited. All results are plain data.
 */

import { ModuleError } from "../errors.ts";
import type { AnyModule } from "../nn/module.ts";
import { outermostUnits } from "../doctor/analysis/units.ts";
import { dequantize } from "../ops/quantize/native.ts";
import { computeCosineSimilarity, computeSqnr } from "../quantization/suite/metrics.ts";
import { noGrad } from "../tensor/context.ts";
import { cat } from "../ops/cat.ts";
import { dtypeInfo, isQuantized } from "../tensor/dtype.ts";
import { Tensor } from "../tensor/tensor.ts";
import { histogramOf } from "./value-histogram.ts";
import type { ValueHistogram } from "./value-histogram.ts";

export interface LayerComparison {
  readonly path: string;
  readonly className: string;
  /** Signal to noise in dB of the quantized output; Infinity when equal. JSON writes that as null. */
  readonly sqnr: number;
  readonly cosine: number;
  readonly maxError: number;
  /** Share of integers at the ends of their range; null for float outputs. */
  readonly saturation: number | null;
  /** Share of float values outside what the integers can express; null for float outputs. */
  readonly clipping: number | null;
  /** Share of quantized values that are zero while the float value is not. */
  readonly lostToZero: number;
  /** Mean squared error of the output, and of what the layer itself adds; null where the layer cannot be run alone. */
  readonly error: number;
  readonly errorMadeHere: number | null;
  readonly errorInherited: number | null;
  /** Float values, with the range of the integers over them. */
  readonly histogram: ValueHistogram;
}

export interface Comparison {
  readonly layers: readonly LayerComparison[];
  /** Paths by the error made there, worst first. */
  readonly ranking: readonly string[];
}

interface Seen {
  readonly inputs: Tensor[];
  readonly outputs: Tensor[];
}

interface Callable {
  forward(...inputs: readonly unknown[]): unknown;
}

/** What units took and gave, batch by batch. Only units on one tensor that give one tensor are kept. */
function watch(model: AnyModule, data: readonly (readonly unknown[])[]): Map<string, Seen> {
  const copy = model.clone().eval();
  const seen = new Map<string, Seen>();
  for (const [path, unit] of outermostUnits(copy)) {
    unit.registerForwardHook((_module, args, output) => {
      const [input] = args;
      if (args.length !== 1 || !(input instanceof Tensor && output instanceof Tensor)) return;
      const entry = seen.get(path) ?? { inputs: [], outputs: [] };
      entry.inputs.push(input);
      entry.outputs.push(output);
      seen.set(path, entry);
    });
  }
  noGrad(() => data.forEach((inputs) => (copy as unknown as Callable).forward(...inputs)));
  return seen;
}

function real(x: Tensor): Tensor {
  return x.isQuantized ? dequantize(x) : x;
}

function joined(parts: readonly Tensor[]): Tensor {
  const flat = parts.map((part) => real(part).reshape([-1]));
  return flat.length === 1 ? flat[0]! : cat(flat, 0);
}

function meanSquare(a: Tensor, b: Tensor): number {
  let sum = 0;
  for (let i = 0; i < a.numel; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  return sum / Math.max(a.numel, 1);
}

function largestDifference(a: Tensor, b: Tensor): number {
  let largest = 0;
  for (let i = 0; i < a.numel; i++) largest = Math.max(largest, Math.abs(a.data[i]! - b.data[i]!));
  return largest;
}

interface Ends {
  readonly min: number;
  readonly max: number;
}

/** The smallest and largest real value an output's integers can express. */
function endsOf(x: Tensor): Ends | null {
  if (!isQuantized(x.dtype) || x.qparams?.kind !== "perTensor") return null;
  const { scale, zeroPoint } = x.qparams;
  const { min, max } = dtypeInfo[x.dtype];
  return { min: (min - zeroPoint) * scale, max: (max - zeroPoint) * scale };
}

function share(values: Tensor, test: (value: number, i: number) => boolean): number {
  let count = 0;
  for (let i = 0; i < values.numel; i++) if (test(values.data[i]!, i)) count++;
  return count / Math.max(values.numel, 1);
}

/** Half a step beyond the ends still rounds to them. */
function clippingOf(float: Tensor, x: Tensor, ends: Ends): number {
  const half = x.qparams?.kind === "perTensor" ? x.qparams.scale / 2 : 0;
  return share(float, (value) => value < ends.min - half || value > ends.max + half);
}

function saturationOf(outputs: readonly Tensor[]): number {
  const shares = outputs.map((x) => {
    const { min, max } = dtypeInfo[x.dtype];
    return share(x, (value) => value === min || value === max);
  });
  return shares.reduce((sum, one) => sum + one, 0) / shares.length;
}

/** The float layer on the quantized model's inputs; null when it does not take them. */
function rerun(unit: AnyModule, inputs: readonly Tensor[]): Tensor | null {
  try {
    return joined(inputs.map((input) => noGrad(() => (unit as unknown as Callable).forward(real(input)) as Tensor)));
  } catch {
    return null;
  }
}

function compareLayer(path: string, unit: AnyModule, float: Seen, quantized: Seen): LayerComparison {
  const [expected, given] = [joined(float.outputs), joined(quantized.outputs)];
  const first = quantized.outputs[0]!;
  const ends = endsOf(first);
  const alone = rerun(unit, quantized.inputs);
  return {
    path,
    className: unit.constructor.name,
    sqnr: computeSqnr(expected, given),
    cosine: computeCosineSimilarity(expected, given),
    maxError: largestDifference(expected, given),
    saturation: ends && saturationOf(quantized.outputs),
    clipping: ends && clippingOf(expected, first, ends),
    lostToZero: share(given, (value, i) => value === 0 && expected.data[i] !== 0),
    error: meanSquare(expected, given),
    errorMadeHere: alone && meanSquare(alone, given),
    errorInherited: alone && meanSquare(expected, alone),
    histogram: histogramOf(expected.data, ends),
  };
}

/**
 * Layers of two models compared on the same data. The models are not changed.
 * @param floatModel the model before prepare (fused as the other), so that paths are the same.
 * @param quantizedModel converted, or fake-quantized.
 * @param data the arguments of forward, a batch each.
 * @throws ModuleError when the models have no layer in common.
 */
export function compare(
  floatModel: AnyModule,
  quantizedModel: AnyModule,
  data: readonly (readonly unknown[])[],
): Comparison {
  const [float, quantized] = [watch(floatModel, data), watch(quantizedModel, data)];
  const units = new Map(outermostUnits(floatModel.clone().eval()));
  const layers: LayerComparison[] = [];
  for (const [path, seen] of float) {
    const other = quantized.get(path);
    const unit = units.get(path);
    const fits =
      other && other.outputs.length === seen.outputs.length && other.outputs[0]!.numel === seen.outputs[0]!.numel;
    if (unit && fits) layers.push(compareLayer(path, unit, seen, other));
  }
  if (layers.length === 0) {
    throw new ModuleError(
      "compare",
      { float: float.size, quantized: quantized.size },
      "the models have no layer in common",
      "Fuse the float model like the quantized one",
    );
  }
  const byError = [...layers].sort((a, b) => relativeError(b) - relativeError(a));
  return { layers, ranking: byError.map(({ path }) => path) };
}

/** Error made here over the signal: what decides the ranking. */
function relativeError({ errorMadeHere, error, sqnr }: LayerComparison): number {
  const signal = error * 10 ** (sqnr / 10);
  return (errorMadeHere ?? error) / (Number.isFinite(signal) && signal > 0 ? signal : 1);
}

export interface SideBySide {
  readonly path: string;
  readonly className: string;
  readonly sqnr: readonly [first: number, second: number];
  readonly clipping: readonly [number | null, number | null];
  readonly errorMadeHere: readonly [number | null, number | null];
}

/** Two quantizations of one model, layer by layer; layers that differ most in SQNR first. */
export function compareQConfigs(first: Comparison, second: Comparison): SideBySide[] {
  const others = new Map(second.layers.map((layer) => [layer.path, layer]));
  const rows = first.layers.flatMap((a): SideBySide[] => {
    const b = others.get(a.path);
    if (!b) return [];
    const { path, className } = a;
    return [
      {
        path,
        className,
        sqnr: [a.sqnr, b.sqnr],
        clipping: [a.clipping, b.clipping],
        errorMadeHere: [a.errorMadeHere, b.errorMadeHere],
      },
    ];
  });
  const gap = ({ sqnr: [a, b] }: SideBySide): number => (a === b ? 0 : Math.abs(a - b));
  return rows.sort((a, b) => gap(b) - gap(a));
}
