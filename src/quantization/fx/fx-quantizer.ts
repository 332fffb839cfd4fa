/**
 * FX as a Quantizer: a mapping and a backend, written onto a graph as annotations that the common mechanism inserts.
 *
 * Weights of layers are observed when they are converted, as in PyTorch; in training they have fake-quantizes of
 * their own from the start.
 */

import { Value } from "../../graph/graph.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import {
  annotateInputQspecMap,
  annotateOutputQspec,
  QuantizationAnnotation,
  annotate,
  annotationOf,
} from "../pt2e/annotation.ts";
import { Quantizer } from "../pt2e/quantizer.ts";
import { QuantizationSpec, SharedQuantizationSpec } from "../pt2e/spec.ts";
import type { EdgeOrNode, QSpec } from "../pt2e/spec.ts";
import { assignQConfigs } from "./assign.ts";
import type { BackendConfig } from "./backend-config.ts";
import { matchAll } from "./chains.ts";
import { placeObservers } from "./place.ts";
import type { Instance, Mark } from "./place.ts";
import type { QConfigMapping } from "./qconfig-mapping.ts";
import { isWeightSupported } from "./support.ts";
import { producers, unitsOf } from "./units.ts";
import { unsupportedSettings } from "./unsupported.ts";
import type { UnsupportedSetting } from "./unsupported.ts";
import type { Unit } from "./units.ts";
import { observing, Plans, Roles } from "./wanted.ts";
import type { Observing } from "./wanted.ts";
import { weightIndexes } from "./weights.ts";

export interface FxQuantizerOptions {
  readonly mapping: QConfigMapping;
  readonly backend: BackendConfig;
  readonly isQat: boolean;
  readonly inputQuantizedIndexes: readonly number[];
  /** Inputs that standalone modules want quantized, by path. */
  readonly standalone: ReadonlyMap<string, readonly number[]>;
  /** Classes that have an observed form. */
  readonly customClasses: ReadonlySet<string>;
}

function specOf({ factory, target }: Observing): QuantizationSpec {
  return new QuantizationSpec({ dtype: target.dtype, observerOrFakeQuantCtr: factory, isDynamic: target.isDynamic });
}

/** Writes specs so that places of one instance share the first's. */
class Writer {
  private readonly first = new Map<object, EdgeOrNode>();

  specAt(key: object, made: Observing, place: EdgeOrNode): QSpec {
    const known = this.first.get(key);
    if (known) return new SharedQuantizationSpec(known);
    this.first.set(key, place);
    return specOf(made);
  }

  mark({ value, readers, instance }: Mark): void {
    if (!readers) {
      this.open(value.node);
      annotateOutputQspec(value.node, this.specAt(instance, instance.made, value));
      return;
    }
    for (const reader of readers) this.edge(value, reader, instance, instance.made);
  }

  edge(value: Value, reader: Node, key: Instance | Value, made: Observing): void {
    this.open(reader);
    annotateInputQspecMap(reader, value, this.specAt(key, made, [value, reader]));
  }

  /** FX says itself what is shared. */
  private open(node: Node): void {
    if (!annotationOf(node)) annotate(node, new QuantizationAnnotation({ allowImplicitSharing: false }));
  }
}

export class FxQuantizer extends Quantizer {
  /** Settings of the annotated graph that have no effect. */
  unsupported: readonly UnsupportedSetting[] = [];
  private readonly options: FxQuantizerOptions;

  constructor(options: FxQuantizerOptions) {
    super();
    this.options = options;
  }

  override annotate(graph: Graph): void {
    const { mapping, backend, inputQuantizedIndexes } = this.options;
    const units = unitsOf(graph);
    const from = producers(units);
    const matches = matchAll({ graph, producers: from }, units, backend);
    const standalone = new Map(
      units.flatMap((unit) => {
        const indexes = unit.record.kind === "module" ? this.options.standalone.get(unit.record.path) : undefined;
        return indexes ? [[unit, indexes] as const] : [];
      }),
    );
    const custom = new Set(
      units.filter((unit) => unit.record.kind === "module" && this.options.customClasses.has(unit.type)),
    );
    for (const unit of [...standalone.keys(), ...custom]) matches.delete(unit);
    const qconfigs = assignQConfigs(mapping, units);
    const roles = new Roles(backend);
    const alone = new Set([...standalone.keys(), ...custom]);
    const plans = new Plans(units, matches, qconfigs, roles, alone);
    const quantizedInputs = new Set(graph.inputs.filter((_, i) => inputQuantizedIndexes.includes(i)));
    const placed = placeObservers({
      graph,
      units,
      matches,
      qconfigs,
      plans,
      roles,
      producers: from,
      quantizedInputs,
      standalone,
      custom,
    });
    const writer = new Writer();
    for (const mark of placed.marks) writer.mark(mark);
    for (const unit of units) {
      unit.record.qconfig = qconfigs.get(unit) ?? null;
      unit.record.isObserved = placed.observed.has(unit);
      if (this.options.isQat) this.observeWeights(graph, unit, writer);
    }
    this.unsupported = unsupportedSettings({ units, matches, qconfigs, plans, mapping, backend, alone });
  }

  /** In training a layer's weight is fake-quantized; a layer called twice has one fake-quantize. */
  private observeWeights(graph: Graph, unit: Unit, writer: Writer): void {
    const { qconfig } = unit.record;
    if (!unit.isLayer || !qconfig) return;
    const configs = this.options.backend.configs.find(({ pattern }) => pattern === unit.type)?.dtypeConfigs ?? [];
    if (!isWeightSupported(configs, qconfig)) return;
    for (const node of unit.nodes) {
      const index = weightIndexes[node.target];
      const weight = index === undefined ? null : node.args[index]!;
      const isOwn = weight instanceof Value && (graph.tensorOf(weight) !== null || unit.nodes.includes(weight.node));
      if (isOwn) writer.edge(weight, node, weight, observing(qconfig.weight));
    }
  }
}
