/**
 * Puts observers (or fake-quantizes) into a graph where annotations ask for them: the one insertion of both graph
 * modes. Every sharing group has one instance; a value that is already observed by the right instance is used as it
 * is, so two nodes never observe the same tensor twice for one purpose.
 */

import { QuantError } from "../../errors.ts";
import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import type { AnyModule } from "../../nn/module.ts";
import { FixedQParamsFakeQuantize } from "../fake-quantize/fixed.ts";
import { PerChannelMinMaxObserver } from "../observers/min-max.ts";
import { toFactory } from "../factory.ts";
import type { ObserverBase } from "../observers/base.ts";
import { FixedQParamsObserver } from "../observers/passive.ts";
import { DerivedObserverOrFakeQuantize } from "./derived.ts";
import { Places, describePlace, shareGroups } from "./sharing.ts";
import type { Place } from "./sharing.ts";
import type { EdgeOrNode, FixedQParamsQuantizationSpec, QuantizationSpec } from "./spec.ts";

const STEM = "activation_post_process";

export interface InsertOptions {
  /** Quantization-aware training: fixed parameters are fake-quantized. */
  readonly isQat: boolean;
  /** May replace instances before they are inserted (Quantizer.prepareObsOrFqCallback). */
  readonly callback?: (instances: Map<Place, AnyModule>) => void;
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function observedInstance(spec: QuantizationSpec): AnyModule {
  const factory = toFactory(spec.observerOrFakeQuantCtr);
  const { dtype, quantMin, quantMax, qscheme, chAxis, isDynamic } = spec;
  const perChannel =
    factory.observer.prototype instanceof PerChannelMinMaxObserver ||
    (factory.observer as unknown) === PerChannelMinMaxObserver;
  return factory(given({ dtype, quantMin, quantMax, qscheme, chAxis: perChannel ? chAxis : null, isDynamic }));
}

function fixedInstance(
  { dtype, scale, zeroPoint, quantMin, quantMax, qscheme }: FixedQParamsQuantizationSpec,
  isQat: boolean,
): AnyModule {
  const settings = given({ dtype, scale, zeroPoint, quantMin, quantMax, qscheme });
  const observer = FixedQParamsObserver.withArgs(settings);
  return isQat ? new FixedQParamsFakeQuantize({ observer }) : observer();
}

/** One instance for each group, made from the first member that has a spec of its own. */
function makeInstances(places: Places, isQat: boolean): Map<Place, AnyModule> {
  const groups = shareGroups(places);
  const byGroup = new Map<Place, AnyModule>();
  const instances = new Map<Place, AnyModule>();
  const making = new Set<Place>();
  const instanceFor = (place: Place): AnyModule | null => {
    const root = groups.get(place)!;
    const known = byGroup.get(root);
    if (known) return known;
    const owner = places.all.find(
      (member) => groups.get(member) === root && member.spec && member.spec.kind !== "shared",
    );
    const spec = owner?.spec;
    if (!owner || !spec || spec.kind === "shared") return null;
    if (making.has(root))
      throw new QuantError(
        "prepare",
        { place: describePlace(place) },
        "its derived specs are derived from one another in a circle",
      );
    making.add(root);
    const sources =
      spec.kind === "derived"
        ? spec.derivedFrom.map((at: EdgeOrNode) => instanceFor(places.named(at, owner)) as unknown as ObserverBase)
        : [];
    const made =
      spec.kind === "observed"
        ? observedInstance(spec)
        : spec.kind === "fixed"
          ? fixedInstance(spec, isQat)
          : new DerivedObserverOrFakeQuantize(spec, sources);
    byGroup.set(root, made);
    return made;
  };
  for (const place of places.all) {
    const made = place.spec && instanceFor(place);
    if (made) instances.set(place, made);
  }
  return instances;
}

class Inserter {
  private readonly graph: Graph;
  private readonly places: Places;
  private readonly instances: ReadonlyMap<Place, AnyModule>;
  /** Values whose output is observed → what the observer gives. */
  private readonly observed = new Map<Value, Value>();

  constructor(graph: Graph, places: Places, instances: ReadonlyMap<Place, AnyModule>) {
    this.graph = graph;
    this.places = places;
    this.instances = instances;
  }

  run(): void {
    const original = this.graph.nodes.map((node) => [node, node.args] as const);
    for (const [node, args] of original) {
      this.graph.setArgs(
        node,
        args.map((arg) => this.input(node, arg)),
      );
      this.output(node);
    }
    this.graph.outputs = this.graph.outputs.map((output) => this.current(output));
  }

  private current(arg: Argument): Argument {
    return arg instanceof Value ? (this.observed.get(arg) ?? arg) : arg;
  }

  private instanceAt(value: Value, reader: Node | null): AnyModule | undefined {
    const place = this.places.find(value, reader);
    return place && this.instances.get(place);
  }

  private input(node: Node, arg: Argument): Argument {
    const current = this.current(arg);
    if (!(arg instanceof Value) || !(current instanceof Value)) return current;
    const instance = this.instanceAt(arg, node);
    if (!instance) return current;
    if (this.observed.has(arg) && this.instanceAt(arg, null) === instance) return current;
    const existing = current.users.find(
      (user) => user.kind === "module" && this.graph.modules.get(user.target) === instance,
    );
    return existing ? existing.output : this.insert(current, instance);
  }

  private output(node: Node): void {
    const [value] = node.outputs;
    const instance = value && this.instanceAt(value, null);
    if (instance) this.observed.set(value, this.insert(value, instance));
  }

  private insert(value: Value, instance: AnyModule): Value {
    const name = this.graph.freeAttributeName(STEM);
    this.graph.modules.set(name, instance);
    const { source } = value.node;
    return this.graph.insertAfter(
      { kind: "module", target: name, args: [value], types: [value.type], name, source },
      value.node,
    ).output;
  }
}

/** Inserts observers by annotation. @throws QuantError for specs that refer to nothing or go in circles. */
export function insertObservers(graph: Graph, { isQat, callback }: InsertOptions): void {
  const places = new Places(graph);
  const instances = makeInstances(places, isQat);
  callback?.(instances);
  new Inserter(graph, places, instances).run();
}
