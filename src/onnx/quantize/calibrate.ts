/**
 * The calibration loop: batches in, checked and cut to the size the model takes, through the runner, with progress,
 * checkpoints and a way to stop. What was seen can be saved and continued to the same bits.
 */

import { QuantError } from "../../errors.ts";
import type { Graph, Value } from "../../graph/graph.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import { RangeObserver } from "../../quantization/observers/min-max.ts";
import type { ObserverState } from "../../quantization/observers/index.ts";
import { slice } from "../../ops/slicing.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { engineRunner } from "./engine-runner.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { observerNodes } from "./observer-nodes.ts";
import type { CalibrationBatch, CalibrationJob, CalibrationState, QuantizeOptions } from "./options.ts";
import type { Settings } from "./settings.ts";
import type { CalibrationSource } from "./source.ts";

const DEFAULT_CHECKPOINT = 16;
/** Longest time without giving timers, signals and screens their turn. */
const TURN_MILLISECONDS = 50;

function fail(fields: Record<string, unknown>, rule: string, hint?: string): never {
  throw new QuantError("calibration", fields, rule, hint);
}

/** The tensors of a batch in the order of the graph's inputs. @throws QuantError naming the batch. */
function ordered(graph: Graph, batch: CalibrationBatch, number: number): Tensor[] {
  const { inputs } = graph;
  if (batch instanceof Tensor) {
    if (inputs.length !== 1)
      fail(
        { batch: number, inputs: inputs.map(({ node }) => node.target) },
        "a model of several inputs needs them by name",
      );
    return [batch];
  }
  const names = inputs.map(({ node }) => node.target);
  const unknown = Object.keys(batch).filter((name) => !names.includes(name));
  const missing = names.filter((name) => !Object.hasOwn(batch, name));
  if (unknown.length + missing.length > 0)
    fail({ batch: number, missing, unknown, inputs: names }, "a batch must have a tensor for each input of the model");
  return names.map((name) => batch[name]!);
}

function checkValues(input: Value, tensor: Tensor, batch: number): void {
  const { type, node } = input;
  const where = { batch, input: node.target };
  if (!(tensor instanceof Tensor)) fail(where, "every input must be a tensor");
  if (type && tensor.dtype !== type.dtype)
    fail({ ...where, dtype: tensor.dtype, expected: type.dtype }, "an input has another dtype than the model takes");
  const fits =
    !type || (tensor.rank === type.shape.length && type.shape.every((s, i) => i === 0 || s === tensor.shape[i]));
  if (!fits)
    fail({ ...where, shape: tensor.shape, expected: type.shape }, "an input has another shape than the model takes");
  if (!isFloat(tensor.dtype)) return;
  const bad = (tensor.data as Float32Array).findIndex((v) => !Number.isFinite(v));
  if (bad < 0) return;
  const perSample = tensor.numel / (tensor.shape[0] ?? 1);
  fail(
    { ...where, sample: Math.floor(bad / perSample), value: String(tensor.data[bad]) },
    "calibration data must be finite numbers",
  );
}

const samplesOf = (inputs: readonly Tensor[]): number => inputs[0]?.shape[0] ?? 1;

/** Parts of the batch size that the graph takes. @throws QuantError when it does not divide into them. */
function parts(graph: Graph, inputs: readonly Tensor[], batch: number): readonly (readonly Tensor[])[] {
  const size = graph.fixedBatch?.size;
  const count = samplesOf(inputs);
  if (size === undefined || size === count) return [inputs];
  if (size === 0 || count % size !== 0)
    fail({ batch, samples: count, batchSize: size }, "the model has a fixed batch size, which must divide the batch");
  return Array.from({ length: count / size }, (_, i) => inputs.map((x) => slice(x, 0, i * size, (i + 1) * size)));
}

/** @throws QuantError naming the batch and the input at fault. */
export function checkedParts(graph: Graph, batch: CalibrationBatch, number: number): readonly (readonly Tensor[])[] {
  const inputs = ordered(graph, batch, number);
  graph.inputs.forEach((input, i) => checkValues(input, inputs[i]!, number));
  return parts(graph, inputs, number);
}

/** @throws QuantError naming the operator whose result is not a number: its range would make no scale. */
function checkRanges(graph: Graph): void {
  for (const { node, observer } of observerNodes(graph)) {
    if (!(observer instanceof RangeObserver) || !observer.hasObserved) continue;
    const ends = [observer.minVal, observer.maxVal].flatMap(({ data }) => Array.from(data, Number));
    if (ends.every(Number.isFinite)) continue;
    const { name } = node.args[0] as Value;
    const [min, max] = [Math.min(...ends), Math.max(...ends)];
    fail({ value: name, min, max }, "the model computes values that are not finite numbers", "Exclude what reads them");
  }
}

/** Observers and counts of a calibration under way. */
export class Calibration {
  readonly job: CalibrationJob;
  batches = 0;
  samples = 0;
  private readonly fingerprint: string;

  constructor(job: CalibrationJob, settings: Settings) {
    this.job = job;
    this.fingerprint = fingerprintOf(job.observed, settings);
  }

  state(): CalibrationState {
    const observers = new Map<string, ObserverState>();
    for (const [name, observer] of this.job.observers) observers.set(name, observer.state());
    return { fingerprint: this.fingerprint, batches: this.batches, samples: this.samples, observers };
  }

  /** @throws QuantError for the state of another model or other settings. */
  load({ fingerprint, batches, samples, observers }: CalibrationState): void {
    if (fingerprint !== this.fingerprint)
      fail(
        { state: fingerprint, model: this.fingerprint },
        "the saved calibration belongs to another model or to other settings",
        "Start again without it",
      );
    for (const [name, state] of observers) this.job.observers.get(name)?.load(state);
    this.batches = batches;
    this.samples = samples;
  }

  /** @throws QuantError for data that does not fit, and when there is none; the signal's reason when stopped. */
  async run(source: CalibrationSource, options: QuantizeOptions): Promise<void> {
    const { onProgress, onCheckpoint, signal, checkpointEvery = DEFAULT_CHECKPOINT } = options;
    const runner = options.runner ?? engineRunner();
    const running = await runner.start(this.job);
    let at = this.batches;
    let turn = performance.now();
    try {
      for await (const batch of source.from(at)) {
        signal?.throwIfAborted();
        const cut = checkedParts(this.job.observed.graph, batch, at++);
        for (const inputs of cut) await running.run(inputs);
        this.batches++;
        this.samples += cut.reduce((sum, inputs) => sum + samplesOf(inputs), 0);
        onProgress?.({ phase: "calibrating", batches: this.batches, samples: this.samples });
        if (onCheckpoint && this.batches % checkpointEvery === 0) await onCheckpoint(this.state());
        if (performance.now() - turn < TURN_MILLISECONDS) continue;
        await new Promise((resolve) => setTimeout(resolve, 0));
        turn = performance.now();
      }
    } finally {
      await running.dispose();
    }
    signal?.throwIfAborted();
    if (this.samples === 0) fail({ batches: this.batches }, "there is no calibration data", "Give some real inputs");
    checkRanges(this.job.observed.graph);
  }
}

/** Most samples that passes can ask for, and so most that are held in memory. */
export const MOST_SAMPLES = 256;

/** The first samples of the data, for passes that look at values; inputs in the order of the graph. */
export async function firstSamples(
  { graph }: GraphModule,
  source: CalibrationSource | null,
  count: number,
): Promise<readonly (readonly Tensor[])[]> {
  const taken: (readonly Tensor[])[] = [];
  let samples = 0;
  let number = 0;
  await source?.first((batch) => {
    for (const inputs of checkedParts(graph, batch, number++)) {
      if (samples >= Math.min(count, MOST_SAMPLES)) return true;
      taken.push(inputs);
      samples += samplesOf(inputs);
    }
    return samples >= Math.min(count, MOST_SAMPLES);
  });
  return taken;
}
