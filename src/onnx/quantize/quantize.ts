/**
 * quantizeOnnx: a float model in, a quantized one out, with a report of what was done to which operator and why.
 */

import { OnnxError } from "../../errors.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import { convertPt2e, preparePt2e } from "../../quantization/pt2e/index.ts";
import { biasCorrection, keepLargeBiases } from "./bias-correction.ts";
import { Calibration, MOST_SAMPLES, firstSamples } from "./calibrate.ts";
import { calibrationJob, observeWeights } from "./calibration-job.ts";
import { decide } from "./decide.ts";
import type { Decision } from "./decide.ts";
import { crossLayerEqualization } from "./equalize.ts";
import { engineRunner } from "./engine-runner.ts";
import { loadModel } from "./model.ts";
import type { LoadedModel } from "./model.ts";
import { OnnxQuantizer } from "./onnx-quantizer.ts";
import type { CalibrationData, CalibrationState, OnnxSource, QuantizeOptions } from "./options.ts";
import type { PassContext, QuantizePass } from "./passes.ts";
import { planOf } from "./plan.ts";
import type { QuantizePlan, QuantizeReport } from "./report.ts";
import { resolveSettings } from "./settings.ts";
import type { Settings } from "./settings.ts";
import { CalibrationSource } from "./source.ts";
import { QuantizedFile } from "./result.ts";
import { quantizeWeights } from "./weight-only.ts";

export interface QuantizeResult {
  /** The quantized model, with quantize and dequantize nodes: runs in `compile`, exports with `exportOnnx`. */
  readonly graph: GraphModule;
  readonly report: QuantizeReport;
  /** What calibration saw; null for methods without data. */
  readonly calibration: CalibrationState | null;
  /** The ONNX file. @throws OnnxError when it is too large for one piece: use `write`. */
  readonly bytes: () => Uint8Array;
  /**
   * Writes the ONNX file, whole or not at all (Node only); values above 2 GB (or above `largestInside` bytes) go into
   * `<path>.data` beside it. Gives the names of the files. @throws DataError when that fails; nothing is left behind.
   */
  readonly write: (path: string, largestInside?: number) => Promise<readonly string[]>;
}

/**
 * The dry run: what would happen to each operator, before any data is read.
 * @throws OnnxError for settings that the target or the method cannot have, and when nothing would be quantized.
 */
export function planQuantization(source: OnnxSource, options: QuantizeOptions = {}): QuantizePlan {
  const settings = resolveSettings(options);
  const { float, fromFile } = loadModel(source, options);
  return planOf(float.graph, settings, options, fromFile);
}

function passesOf({ crossLayerEqualization: equalize, passes = [] }: QuantizeOptions, settings: Settings) {
  const corrects = settings.biasCorrection && settings.method === "static";
  return [...(equalize ? [crossLayerEqualization] : []), ...passes, ...(corrects ? [biasCorrection] : [])];
}

/** Runs one stage of all passes, carrying what import knew of the file along. */
async function stage(
  name: "beforeCalibration" | "afterCalibration" | "afterConversion",
  passes: readonly QuantizePass[],
  model: GraphModule,
  context: PassContext,
): Promise<GraphModule> {
  let current = model;
  for (const pass of passes) {
    const next = await pass[name]?.(current, context);
    if (next) current = keepingPreserved(next, current);
  }
  return current;
}

function keepingPreserved(next: GraphModule, from: GraphModule): GraphModule {
  for (const [key, value] of Object.entries(from.preserved)) next.preserved[key] ??= value;
  return next;
}

interface Outcome {
  readonly graph: GraphModule;
  readonly calibration: Calibration | null;
  readonly seconds: number;
  readonly warnings: readonly string[];
}

async function quantizeStatic(
  { float, fromFile }: LoadedModel,
  source: CalibrationSource | null,
  settings: Settings,
  options: QuantizeOptions,
): Promise<Outcome> {
  if (!source)
    throw new OnnxError("quantizeOnnx", { method: settings.method }, "static quantization needs calibration data");
  const passes = passesOf(options, settings);
  const samples: PassContext["samples"] = (count) => firstSamples(float, source, count);
  const context: PassContext = { float, samples, engine: options.runner?.engine };
  const adapted = await stage("beforeCalibration", passes, float, context);
  const quantizer = new OnnxQuantizer(settings, (graph) => decide(graph, settings, options, fromFile));
  const prepared = preparePt2e(adapted, quantizer);
  observeWeights(prepared.graph);
  const calibration = new Calibration(calibrationJob(prepared), settings);
  if (options.resume) calibration.load(options.resume);
  const start = performance.now();
  await calibration.run(source, options);
  const seconds = (performance.now() - start) / 1000;
  options.onProgress?.({ phase: "converting", batches: calibration.batches, samples: calibration.samples });
  const calibrated = await stage("afterCalibration", passes, keepingPreserved(prepared, float), context);
  const large = keepLargeBiases(calibrated.graph);
  const converted = keepingPreserved(convertPt2e(calibrated), float);
  const graph = await stage("afterConversion", passes, converted, context);
  const warnings = large.map((name) => `the bias of ${name} is too large for its weights' scale and stays float`);
  return { graph, calibration, seconds, warnings };
}

/** Dynamic quantization: ranges of activations are taken by nodes of the graph; weight-only: there are none. */
async function quantizeWithoutData(
  { float, fromFile }: LoadedModel,
  settings: Settings,
  options: QuantizeOptions,
): Promise<Outcome> {
  const passes = passesOf(options, settings);
  const context: PassContext = { float, samples: () => Promise.resolve([]) };
  const decideNodes = (graph: Graph): ReadonlyMap<Node, Decision> => decide(graph, settings, options, fromFile);
  const adapted = await stage("beforeCalibration", passes, float, context);
  options.onProgress?.({ phase: "converting", batches: 0, samples: 0 });
  if (settings.method === "weightOnly") {
    const quantized = keepingPreserved(quantizeWeights(adapted, settings, decideNodes), float);
    const graph = await stage("afterConversion", passes, quantized, context);
    return { graph, calibration: null, seconds: 0, warnings: [] };
  }
  const prepared = preparePt2e(adapted, new OnnxQuantizer(settings, decideNodes));
  observeWeights(prepared.graph);
  const calibrated = await stage("afterCalibration", passes, keepingPreserved(prepared, float), context);
  const converted = keepingPreserved(convertPt2e(calibrated), float);
  const graph = await stage("afterConversion", passes, converted, context);
  return { graph, calibration: null, seconds: 0, warnings: [] };
}

/**
 * Quantizes a model.
 * @param calibration batches of real inputs; null for methods that need none.
 * @throws OnnxError for files that cannot be read and settings that cannot be had; QuantError for calibration data of a
 * wrong shape, with NaN, or none at all, naming the batch.
 */
export async function quantizeOnnx(
  source: OnnxSource,
  calibration: CalibrationData | null,
  options: QuantizeOptions = {},
): Promise<QuantizeResult> {
  const start = performance.now();
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const settings = resolveSettings(options);
  onProgress?.({ phase: "importing", batches: 0, samples: 0 });
  const model = loadModel(source, options);
  const plan = planOf(model.float.graph, settings, options, model.fromFile);
  onProgress?.({ phase: "preparing", batches: 0, samples: 0 });
  const passes = passesOf(options, settings);
  const data = calibration && new CalibrationSource(calibration, passes.length > 0 ? MOST_SAMPLES : 0);
  const outcome =
    settings.method === "static"
      ? await quantizeStatic(model, data, settings, options)
      : await quantizeWithoutData(model, settings, options);
  const file = new QuantizedFile(outcome.graph, settings, options);
  const report: QuantizeReport = {
    ...plan,
    warnings: [...plan.warnings, ...outcome.warnings],
    runner: outcome.calibration ? (options.runner ?? engineRunner()).name : null,
    batches: outcome.calibration?.batches ?? 0,
    samples: outcome.calibration?.samples ?? 0,
    bytes: { before: model.bytes, after: file.size },
    seconds: { calibration: outcome.seconds, total: (performance.now() - start) / 1000 },
  };
  return {
    graph: outcome.graph,
    report,
    calibration: outcome.calibration?.state() ?? null,
    bytes: () => file.bytes(),
    write: (path, largestInside) => attempt(() => file.write(path, largestInside)),
  };
}

/** A promise of what a function does at once. */
function attempt<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => resolve(run()));
}

/**
 * `quantizeOnnx` from a file to a file (Node only). With `weightOnly`, values that lie beside the model are read, made
 * integers and written one tensor at a time: a model larger than memory needs room for its largest tensor.
 * @throws OnnxError as quantizeOnnx; DataError when the result cannot be written; nothing is left behind then.
 */
export async function quantizeOnnxFile(
  from: string,
  to: string,
  calibration: CalibrationData | null,
  options: QuantizeOptions & { readonly largestInside?: number } = {},
): Promise<QuantizeReport> {
  const result = await quantizeOnnx(from, calibration, options);
  await result.write(to, options.largestInside);
  return result.report;
}
