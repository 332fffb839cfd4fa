/**
 * Observers inside a compiled graph: their statistics are taken from the engine's memory by kernels, so calibration
 * runs at engine speed and copies no tensors out. The observer's own update rule stays where it is.
 */

import type { Node } from "../../graph/graph.ts";
import { ObserverBase } from "../../quantization/observers/base.ts";
import type { BatchStatistics } from "../../quantization/observers/base.ts";
import { HistogramObserver } from "../../quantization/observers/histogram.ts";
import type { Range } from "../../ops/quantize/ranges.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Buffer } from "../buffer.ts";
import { LINES, sharedLines } from "../lines.ts";
import type { Lines } from "../lines.ts";
import type { ModuleRule, Place, PlanBuilder } from "../plan.ts";
import { load } from "../transfer.ts";

const FLOAT = 4;
/** Before the tables of a histogram: its range, and room for the kernel. */
const HEAD_BYTES = 64;
/** Tables that take turns. */
const TABLES = 4;
/** Bins of which sums are made at once, also where there are fewer. */
const BINS_AT_ONCE = 4;

/** The call that takes the range of a buffer. */
function bindRange(place: Place, source: number, { count, length, tables: [table] }: Lines): () => Range {
  const { engine, constant } = place;
  const range = constant(2 * FLOAT);
  return () => {
    engine.kernels.f32_min_max(0, count, table!, source, length, range);
    const [min, max] = engine.memory.f32(range, 2);
    return { min: min!, max: max! };
  };
}

/** Where histograms are counted: `bytes` at `out` for each thread, and their sums. */
interface HistogramRoom {
  readonly bytes: number;
  readonly out: number;
  readonly counts: number;
}

const rooms = new WeakMap<Place, Map<number, HistogramRoom>>();

/** One room a plan for all histograms of as many bins: it stays in the cache from one observer to the next. */
function histogramRoom(place: Place, bins: number): HistogramRoom {
  const known = rooms.get(place) ?? new Map<number, HistogramRoom>();
  rooms.set(place, known);
  const bytes = HEAD_BYTES + (bins + BINS_AT_ONCE) * TABLES * FLOAT;
  const room = known.get(bins) ?? {
    bytes,
    out: place.constant(place.engine.threads * bytes),
    counts: place.constant((bins + BINS_AT_ONCE) * FLOAT),
  };
  known.set(bins, room);
  return room;
}

/** The call that takes range and histogram in one pass. The histogram is one of min..max only if the range lies within. */
function bindHistogram(
  place: Place,
  source: number,
  { count, length, tables: [table] }: Lines,
  bins: number,
): (min: number, max: number) => { readonly range: Range; readonly counts: Float32Array } {
  const { engine } = place;
  const { bytes, out, counts } = histogramRoom(place, bins);
  const split = { ...LINES, scratch: { at: 8, bytes } };
  return (min, max) => {
    engine.kernels.fill_bytes(out, 0, engine.threads * bytes);
    for (let thread = 0; thread < engine.threads; thread++)
      engine.memory.f32(out + thread * bytes, 2).set([Infinity, -Infinity]);
    const operations = 8 * count * length;
    engine.share("f32_histogram", [0, count, table!, source, length, min, max, bins, out], split, operations);
    let [least, most] = [Infinity, -Infinity];
    for (let thread = 0; thread < engine.threads; thread++) {
      const [low, high] = engine.memory.f32(out + thread * bytes, 2);
      [least, most] = [Math.min(least, low!), Math.max(most, high!)];
    }
    engine.kernels.f32_histogram_counts(bins, engine.threads, bytes, out, counts);
    return { range: { min: least, max: most }, counts: engine.memory.f32(counts, bins).slice() };
  };
}

/** A histogram and what it was counted over. */
interface Counted {
  readonly bins: number;
  readonly min: number;
  readonly max: number;
  readonly range: Range;
  readonly counts: Float32Array;
}

/**
 * Kernel-made statistics of one buffer for all its observers: what one of them had counted, the next takes over (a fused
 * layer's observer sees its output twice, as in PyTorch).
 *
 * For a histogram the range seen so far is tried first: most batches stay within, and then one pass gives the batch's range
 * and its counts; else they are counted once more.
 */
class SharedStatistics {
  private readonly takeRange: () => Range;
  private readonly histograms = new Map<number, ReturnType<typeof bindHistogram>>();
  private readonly counted: Counted[] = [];
  private range: Range | null = null;
  private readonly place: Place;
  private readonly source: number;
  private readonly lines: Lines;

  constructor(place: Place, buffer: Buffer) {
    this.place = place;
    this.source = place.at(buffer);
    this.lines = sharedLines(place, [buffer], { lastFirst: true });
    this.takeRange = bindRange(place, this.source, this.lines);
  }

  /** Makes room for histograms of this many bins. */
  prepare(bins: number): void {
    if (!this.histograms.has(bins)) this.histograms.set(bins, bindHistogram(this.place, this.source, this.lines, bins));
  }

  /** Forgets the batch before; the first observer of a run says so. */
  reset(): void {
    this.range = null;
    this.counted.length = 0;
  }

  /** The batch's statistics, for an observer that has seen values in `seen` so far. */
  batch(bins: number, seen: Range | null): BatchStatistics {
    if (!this.range && seen && seen.min < seen.max) this.range = this.count(bins, seen.min, seen.max).range;
    this.range ??= this.takeRange();
    return { range: this.range, counts: (number, min, max) => this.count(number, min, max).counts };
  }

  private count(bins: number, min: number, max: number): Counted {
    const known = this.counted.find((each) => each.bins === bins && each.min === min && each.max === max);
    if (known) return known;
    this.prepare(bins);
    const made = { bins, min, max, ...this.histograms.get(bins)!(min, max) };
    this.counted.push(made);
    return made;
  }
}

const statistics = new WeakMap<Place, Map<Buffer, SharedStatistics>>();

/** The call that takes a buffer's statistics for one observer. */
function statisticsOf(place: Place, buffer: Buffer, observer: ObserverBase): () => BatchStatistics {
  const known = statistics.get(place) ?? new Map<Buffer, SharedStatistics>();
  statistics.set(place, known);
  const isFirst = !known.has(buffer);
  const shared = known.get(buffer) ?? new SharedStatistics(place, buffer);
  known.set(buffer, shared);
  const histogram = observer instanceof HistogramObserver ? observer : null;
  if (histogram) shared.prepare(histogram.bins);
  return () => {
    if (isFirst) shared.reset();
    return shared.batch(histogram?.bins ?? 0, histogram?.seenRange ?? null);
  };
}

/**
 * A stored weight is observed in each run as if it were new; what it says is the same each time, and found once. Readers
 * take the stored tensor itself.
 */
function addStoredStep(node: Node, plan: PlanBuilder, observer: ObserverBase, stored: Tensor): void {
  plan.step({
    node,
    kernel: "observe weight",
    precision: "float",
    why: "",
    operations: 0,
    reads: [],
    writes: [],
    bind() {
      const weight = observer.condensed(stored);
      return () => observer.observe(weight);
    },
  });
}

/** Adds the step of an observer node; a string says why it must see the tensor itself. */
function emitObserver(node: Node, plan: PlanBuilder): string | void {
  const module = plan.graph.modules.get(node.target);
  if (!(module instanceof ObserverBase)) return "the engine has no kernel for this module";
  const stored = plan.constant(node.args[0]!);
  if (stored) {
    addStoredStep(node, plan, module, stored);
    return;
  }
  if (plan.type(node.args[0]!).dtype !== "float32") return "only float32 tensors can be observed by a kernel";
  const input = plan.read(node.args[0]!, node, { kind: "any" });
  plan.same(node.output, input);
  plan.step({
    node,
    kernel: `observe (${module.constructor.name})`,
    precision: "float",
    why: "",
    operations: 0,
    reads: [input],
    writes: [],
    bind(place) {
      const statistics = statisticsOf(place, input, module);
      const address = place.at(input);
      return () => {
        if (!module.observeStatistics(statistics())) module.observe(load(place.engine, input, address, plan.flip));
      };
    },
  });
}

/** Compiles observers; other modules are refused. */
export const observerRule: ModuleRule = {
  emit: emitObserver,
  passesOn: (graph, node) => graph.modules.get(node.target) instanceof ObserverBase,
};
