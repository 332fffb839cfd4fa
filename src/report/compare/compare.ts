/**
 * `compare`: where a quantized model departs from the float one, layer by layer.
 *
 * Both models run on the same data, batch by batch, and of every layer sums and counts are kept, never the values: what
 * is in memory at any time are the outputs of one batch. The error at a layer's output has two parts: what came in
 * wrong, and what the layer adds. They are told apart by running the float layer once more on the quantized model's
 * input: the distance from there is made here, the rest is inherited. All results are plain data.
 */

import { ArgumentError, ModuleError } from "../../errors.ts";
import { capture } from "../../graph/capture.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import type { AnyModule } from "../../nn/module.ts";
import { GraphComparator } from "./graphs.ts";
import { ModuleComparator } from "./modules.ts";
import { Rows } from "./rows.ts";
import type { Comparator, LayerComparison, UnmatchedLayer } from "./rows.ts";

export interface Comparison {
  /** In the order in which the float model reaches them. */
  readonly layers: readonly LayerComparison[];
  /** Names of layers by the error made there, relative to the layer's signal; worst first. */
  readonly ranking: readonly string[];
  /** Layers of the float model that could not be compared, and why. */
  readonly unmatched: readonly UnmatchedLayer[];
  readonly batches: number;
}

/** Graphs are compared with graphs: a float module is captured on the first batch. */
function comparatorFor(float: AnyModule, quantized: AnyModule, inputs: readonly unknown[]): Comparator {
  if (!(quantized instanceof GraphModule) && !(float instanceof GraphModule))
    return new ModuleComparator(float, quantized);
  if (!(quantized instanceof GraphModule)) {
    throw new ModuleError(
      "compare",
      { float: "graph", quantized: quantized.constructor.name },
      "a graph can only be compared with a graph",
      "Give the float module that the quantized one was made from",
    );
  }
  const graph = float instanceof GraphModule ? float : capture(float.clone().eval(), inputs);
  return new GraphComparator(graph, quantized);
}

/** A comparison under way. */
class Comparing {
  private readonly rows = new Rows();
  private readonly float: AnyModule;
  private readonly quantized: AnyModule;
  private comparator: Comparator | null = null;
  private batches = 0;

  constructor(float: AnyModule, quantized: AnyModule) {
    this.float = float;
    this.quantized = quantized;
  }

  add(inputs: readonly unknown[]): void {
    this.comparator ??= comparatorFor(this.float, this.quantized, inputs);
    this.comparator.addBatch(inputs, this.rows);
    this.batches++;
  }

  result(): Comparison {
    const { batches } = this;
    if (batches === 0) throw new ArgumentError("compare", { batches }, "there must be at least one batch of data");
    const { layers, unmatched } = this.rows;
    if (layers.length === 0) {
      throw new ModuleError(
        "compare",
        { unmatched: unmatched.length, first: unmatched[0]?.reason },
        "the models have no layer in common",
        "Fuse the float model like the quantized one",
      );
    }
    const byError = [...layers].sort((a, b) => relativeError(b) - relativeError(a));
    return { layers, ranking: byError.map(({ name }) => name), unmatched, batches };
  }
}

/**
 * Layers of two models compared on the same data. The models are not changed; both run in eval mode.
 * @param floatModel the model before prepare. In eager mode fused as the other, so that layers are the same; graphs may
 * be compared with the module they come from.
 * @param quantizedModel converted, or fake-quantized: a module of eager mode, or a graph of FX or PyTorch 2 Export.
 * @param data the arguments of forward, a batch each; any iterable, such as a generator that reads files.
 * @throws ArgumentError without data; ModuleError when the models have no layer in common.
 */
export function compare(
  floatModel: AnyModule,
  quantizedModel: AnyModule,
  data: Iterable<readonly unknown[]>,
): Comparison {
  const comparing = new Comparing(floatModel, quantizedModel);
  for (const inputs of data) comparing.add(inputs);
  return comparing.result();
}

/**
 * `compare` for data that comes as a stream, such as batches a DataSource reads.
 * @throws what compare throws, and what the stream does.
 */
export async function compareStream(
  floatModel: AnyModule,
  quantizedModel: AnyModule,
  data: AsyncIterable<readonly unknown[]>,
): Promise<Comparison> {
  const comparing = new Comparing(floatModel, quantizedModel);
  for await (const inputs of data) comparing.add(inputs);
  return comparing.result();
}

/** Error made here over the signal: what decides the ranking. */
function relativeError({ errorMadeHere, error, signal }: LayerComparison): number {
  return (errorMadeHere ?? error) / (signal > 0 ? signal : 1);
}

/** A measure of both quantizations. */
export type Both<T> = readonly [first: T, second: T];

export interface SideBySide {
  readonly name: string;
  readonly path: string;
  readonly className: string;
  readonly sqnr: Both<number>;
  readonly cosine: Both<number>;
  readonly maxError: Both<number>;
  readonly clipping: Both<number | null>;
  readonly saturation: Both<number | null>;
  readonly lostToZero: Both<number>;
  readonly errorMadeHere: Both<number | null>;
  readonly errorInherited: Both<number | null>;
  /** What the integers of each can express. */
  readonly range: Both<LayerComparison["histogram"]["range"]>;
}

/** Two quantizations of one model, layer by layer; layers that differ most in SQNR first. */
export function compareQConfigs(first: Comparison, second: Comparison): SideBySide[] {
  const others = new Map(second.layers.map((layer) => [layer.name, layer]));
  const rows = first.layers.flatMap((a): SideBySide[] => {
    const b = others.get(a.name);
    if (!b) return [];
    const { name, path, className } = a;
    const both = <K extends keyof LayerComparison>(key: K): Both<LayerComparison[K]> => [a[key], b[key]];
    return [
      {
        name,
        path,
        className,
        sqnr: both("sqnr"),
        cosine: both("cosine"),
        maxError: both("maxError"),
        clipping: both("clipping"),
        saturation: both("saturation"),
        lostToZero: both("lostToZero"),
        errorMadeHere: both("errorMadeHere"),
        errorInherited: both("errorInherited"),
        range: [a.histogram.range, b.histogram.range],
      },
    ];
  });
  const gap = ({ sqnr: [a, b] }: SideBySide): number => (a === b ? 0 : Math.abs(a - b));
  return rows.sort((a, b) => gap(b) - gap(a));
}
