/**
 * What each unit is asked to be: the observers its qconfig gives for input, weight and output, whether its output
 * shares its input's, and whether the backend runs that. The last unit of a pattern decides for all of it, as in
 * PyTorch. Source: torch/ao/quantization/fx/prepare.py (target_dtype_info).
 */

import type { Graph, Value } from "../../graph/graph.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { PlaceholderObserver } from "../observers/passive.ts";
import type { ModuleFactory } from "../factory.ts";
import { isReuseInputQConfig } from "../qconfig.ts";
import { ObservationType } from "./backend-config.ts";
import type { BackendConfig } from "./backend-config.ts";
import type { ChainMatch } from "./chains.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";
import { FLOAT_TARGET, isSupported, targetOf, whyUnsupported } from "./support.ts";
import type { Target, Wanted } from "./support.ts";
import type { Unit } from "./units.ts";

/** A constructor of observers and what it makes. */
export interface Observing {
  readonly factory: ModuleFactory;
  readonly target: Target;
}

/** What is asked of one unit. */
export interface UnitPlan {
  readonly activation: Observing;
  readonly weight: Observing;
  readonly bias: Observing;
  /** The output has the input's observer. */
  readonly shares: boolean;
  /** The qconfig itself says so. */
  readonly reuses: boolean;
}

export function observing(factory: ModuleFactory): Observing {
  return { factory, target: targetOf(factory) };
}

const placeholder = (dtype: DType): Observing => observing(PlaceholderObserver.withArgs({ dtype }));
const float = placeholder("float32");

export const floatPlan: UnitPlan = { activation: float, weight: float, bias: float, shares: false, reuses: false };

/** Stored operands of weighted operators, by position; of norms they are left alone. */
export const WEIGHT_INDEX = 1;
export const BIAS_INDEX = 2;
const UNQUANTIZED_WEIGHTS = ["layerNorm", "groupNorm", "instanceNorm"];

/** What an operand of a unit is. */
export type Role = "activation" | "weight" | "bias" | "fixed";

export class Roles {
  private readonly weighted: ReadonlySet<string>;

  constructor(backend: BackendConfig) {
    const configs = backend.configs.filter(
      ({ pattern, inputTypeToIndex }) => typeof pattern === "string" && inputTypeToIndex.weight !== undefined,
    );
    this.weighted = new Set(configs.map(({ pattern }) => pattern as string));
  }

  of(unit: Unit, value: Value): Role {
    if (unit.isLayer || !this.weighted.has(unit.type)) return "activation";
    const at = unit.nodes[0]!.args.indexOf(value);
    if (at < WEIGHT_INDEX) return "activation";
    if (UNQUANTIZED_WEIGHTS.includes(unit.type)) return "fixed";
    return at === WEIGHT_INDEX ? "weight" : "bias";
  }
}

function sharesByType({ config, units }: ChainMatch): boolean {
  const byCount = config.numTensorArgsToObservationType;
  const type = byCount?.get(Math.min(units[0]!.args.length, 2)) ?? config.observationType;
  return type === ObservationType.OUTPUT_SHARE_OBSERVER_WITH_INPUT;
}

function planFor(match: ChainMatch | null, qconfig: NonNullable<MappedQConfig>): UnitPlan {
  const [activation, weight] = [observing(qconfig.activation), observing(qconfig.weight)];
  const isFloat16 =
    activation.target.dtype === "float16" && weight.target.dtype === "float16" && !activation.target.isDynamic;
  return {
    activation,
    weight,
    bias: isFloat16 ? placeholder("float16") : float,
    shares: match !== null && sharesByType(match),
    reuses: isReuseInputQConfig(qconfig),
  };
}

export type Matches = ReadonlyMap<Unit, ChainMatch>;

/** Plans of all units, and which patterns the backend runs as planned. */
export class Plans {
  private readonly plans = new Map<Unit, UnitPlan>();
  /** Patterns the backend does not run as asked, by their last unit, and why; they stay float. */
  readonly unsupported = new Map<Unit, string>();
  private readonly roles: Roles;
  private readonly matches: Matches;

  constructor(
    units: readonly Unit[],
    matches: Matches,
    qconfigs: ReadonlyMap<Unit, MappedQConfig>,
    roles: Roles,
    alone: ReadonlySet<Unit>,
  ) {
    this.matches = matches;
    this.roles = roles;
    const decided = new Set<Unit>();
    for (const unit of [...units].reverse()) {
      const match = matches.get(unit);
      const qconfig = qconfigs.get(unit) ?? null;
      for (const part of match?.units ?? (alone.has(unit) ? [unit] : [])) {
        if (decided.has(part)) continue;
        decided.add(part);
        if (qconfig) this.plans.set(part, planFor(match ?? null, qconfig));
      }
    }
    for (const unit of units) {
      const match = matches.get(unit);
      const qconfig = qconfigs.get(unit) ?? null;
      if (!match || this.supports(unit, qconfig)) continue;
      const last = match.units.at(-1)!;
      if (qconfig && !this.unsupported.has(last)) this.unsupported.set(last, this.reasonAgainst(match, qconfig));
      for (const part of match.units) this.plans.delete(part);
    }
  }

  of(unit: Unit | undefined): UnitPlan {
    return (unit && this.plans.get(unit)) ?? floatPlan;
  }

  /** Whether the backend runs the unit's pattern as planned; units without a pattern are always fine. */
  supports(unit: Unit, qconfig: MappedQConfig): boolean {
    const match = this.matches.get(unit);
    if (!match) return true;
    const { units, config } = match;
    return isSupported(config.dtypeConfigs, this.wanted(units[0]!, units.at(-1)!), qconfig);
  }

  private reasonAgainst({ units, config }: ChainMatch, qconfig: NonNullable<MappedQConfig>): string {
    return whyUnsupported(config.dtypeConfigs, this.wanted(units[0]!, units.at(-1)!), qconfig);
  }

  private wanted(first: Unit, last: Unit): Wanted {
    const roles = first.args.map((value) => this.roles.of(first, value));
    const plan = this.of(first);
    return {
      input: plan.activation.target,
      output: this.of(last).activation.target,
      weight: roles.includes("weight") ? plan.weight.target : null,
      bias: roles.includes("bias") ? plan.bias.target.dtype : null,
      readsActivations: roles.includes("activation"),
    };
  }
}

/** Whether observers can look at a value: integers (indices) are none of their business. */
export function isObservable(value: Value): boolean {
  return value.type !== null && isFloat(value.type.dtype);
}

/** The unit a value comes from, as a lookup. */
export type ProducerOf = (value: Value) => Unit | undefined;

export interface PlacedGraph {
  readonly graph: Graph;
  readonly units: readonly Unit[];
  readonly matches: Matches;
  readonly qconfigs: ReadonlyMap<Unit, MappedQConfig>;
}

export { FLOAT_TARGET };
