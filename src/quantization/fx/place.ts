/**
 * Where observers go, and which of them are one: PyTorch's walk over the units, in order.
 *
 * A unit's inputs are observed when what comes is of another dtype than what is wanted; its output is observed after
 * its last unit. Sharing units then hand their input's instance to their output (and concatenations to all their
 * inputs): instances change hands place by place, in the order of the walk, so a later unit may take an instance away
 * from an earlier one. Source: insert_observers_for_model, torch/ao/quantization/fx/prepare.py.
 */

import type { Graph, Node, Value } from "../../graph/graph.ts";
import { isQuantizedDtype } from "./support.ts";
import type { Target } from "./support.ts";
import type { Unit } from "./units.ts";
import { isObservable } from "./wanted.ts";
import type { Matches, Observing, Plans, Roles } from "./wanted.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";

/** An observer to be: several marks may end up with one instance. */
export class Instance {
  readonly made: Observing;

  constructor(made: Observing) {
    this.made = made;
  }
}

/** A place where a value is observed, for some readers or (readers null) as the output of its unit. */
export interface Mark {
  readonly value: Value;
  readonly readers: Node[] | null;
  instance: Instance;
}

/** What a unit reads after observers were put in between. */
type Read = Value | Mark;

const isMark = (read: Read): read is Mark => "instance" in read;

export interface PlacementInput {
  readonly graph: Graph;
  readonly units: readonly Unit[];
  readonly matches: Matches;
  readonly qconfigs: ReadonlyMap<Unit, MappedQConfig>;
  readonly plans: Plans;
  readonly roles: Roles;
  readonly producers: ReadonlyMap<Value, Unit>;
  /** Inputs that come quantized. */
  readonly quantizedInputs: ReadonlySet<Value>;
  /** Modules quantized on their own, and which of their inputs they want quantized. */
  readonly standalone: ReadonlyMap<Unit, readonly number[]>;
  /** Modules with an observed form of their own. */
  readonly custom: ReadonlySet<Unit>;
}

const QUINT8: Target = { dtype: "quint8", isDynamic: false };

class Placement {
  readonly marks: Mark[] = [];
  readonly observed = new Set<Unit>();
  private readonly input: PlacementInput;
  private readonly outputs = new Map<Value, Mark>();
  private readonly reads = new Map<Unit, Read[]>();

  constructor(input: PlacementInput) {
    this.input = input;
  }

  visit(unit: Unit): void {
    const { matches, qconfigs, plans, custom, standalone } = this.input;
    this.reads.set(
      unit,
      unit.args.map((value) => this.current(value)),
    );
    const match = matches.get(unit);
    const qconfig = qconfigs.get(unit) ?? null;
    const isAlone = custom.has(unit) || standalone.has(unit);
    if ((!match && !isAlone) || !qconfig || !plans.supports(unit, qconfig)) return;
    this.observed.add(unit);
    if (!match || unit === match.units[0]) this.observeInputs(unit, match?.units ?? [unit]);
    if (!match || unit === match.units.at(-1)) this.observeOutput(unit);
  }

  private current(value: Value): Read {
    return this.outputs.get(value) ?? value;
  }

  /** What dtype a value is taken to have: its unit's output as asked for, observers in between aside. */
  private targetOf(read: Read): Target {
    const value = isMark(read) ? read.value : read;
    if (this.input.quantizedInputs.has(value)) return QUINT8;
    return this.input.plans.of(this.input.producers.get(value)).activation.target;
  }

  private observeInputs(unit: Unit, chain: readonly Unit[]): void {
    const reads = this.reads.get(unit)!;
    unit.args.forEach((value, i) => {
      const wanted = this.wantedFor(unit, value, i);
      if (!wanted || !isObservable(value)) return;
      const known = this.marks.find(
        (mark) => mark.readers && mark.value === value && sameKind(mark.instance.made, wanted),
      );
      const readers = chain[0]!.nodes.filter((node) => node.args.includes(value));
      const mark = known ?? { value, readers: [], instance: new Instance(wanted) };
      mark.readers!.push(...readers.filter((node) => !mark.readers!.includes(node)));
      if (!known) this.marks.push(mark);
      reads[i] = mark;
    });
  }

  /** The observer an operand needs; null when it comes as it is wanted. */
  private wantedFor(unit: Unit, value: Value, index: number): Observing | null {
    const plan = this.input.plans.of(unit);
    const comes = this.targetOf(this.reads.get(unit)![index]!);
    const standalone = this.input.standalone.get(unit);
    if (standalone) return standalone.includes(index) && comes.dtype !== "quint8" ? plan.activation : null;
    const role = this.input.roles.of(unit, value);
    if (role === "fixed") return null;
    const wanted = plan[role];
    if (wanted.target.isDynamic) return index === 0 ? wanted : null;
    if (plan.reuses || !isQuantizedDtype(wanted.target.dtype)) return null;
    return comes.dtype === wanted.target.dtype ? null : wanted;
  }

  private observeOutput(unit: Unit): void {
    const plan = this.input.plans.of(unit);
    const { target } = plan.activation;
    if (target.isDynamic || !isQuantizedDtype(target.dtype) || this.input.standalone.has(unit)) return;
    const mark: Mark = { value: unit.output, readers: null, instance: new Instance(plan.activation) };
    const first = this.reads.get(unit)![0];
    const readsInput =
      first !== undefined && !isMark(first) && first.node.kind === "input" && target.dtype === "quint8";
    if ((plan.shares && !readsInput) || plan.reuses) {
      const instance = this.shareInputs(unit);
      if (!instance) return;
      mark.instance = instance;
    }
    this.outputs.set(unit.output, mark);
    this.marks.push(mark);
  }

  /** The mark a read value goes back to through what has no observer, first operand by first operand. */
  private traceBack(read: Read | undefined): Mark | null {
    let at = read;
    while (at && !isMark(at)) {
      const unit = this.input.producers.get(at);
      at = unit && this.reads.get(unit)?.[0];
    }
    return at ?? null;
  }

  /** The first operand's instance, given to all operands of a concatenation; null when there is none. */
  private shareInputs(unit: Unit): Instance | null {
    const [first, ...others] = this.reads.get(unit)!;
    const mark = this.traceBack(first);
    if (!mark) return null;
    if (unit.nodes[unit.nodes.length - 1]!.target !== "cat") return mark.instance;
    for (const other of others) {
      const found = this.traceBack(other);
      if (!found) return null;
      found.instance = mark.instance;
    }
    return mark.instance;
  }
}

function sameKind(a: Observing, b: Observing): boolean {
  return a.factory.observer === b.factory.observer && a.target.dtype === b.target.dtype;
}

/** All marks, in the order they were made, and the units that were looked at. */
export function placeObservers(input: PlacementInput): { marks: readonly Mark[]; observed: ReadonlySet<Unit> } {
  const placement = new Placement(input);
  for (const unit of input.units) placement.visit(unit);
  return placement;
}
