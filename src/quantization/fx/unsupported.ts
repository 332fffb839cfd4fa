/**
 * Settings that had no effect, as data: a qconfig asks for what the backend does not run, and the layer or operator
 * stays float. PyTorch warns on the console and goes on; here the prepared model carries the list.
 */

import { QuantError } from "../../errors.ts";
import { isReuseInputQConfig } from "../qconfig.ts";
import type { BackendConfig } from "./backend-config.ts";
import type { QConfigMapping } from "./qconfig-mapping.ts";
import type { Unit } from "./units.ts";
import type { Matches, Plans } from "./wanted.ts";
import { convertsWeight, weightIndexes } from "./weights.ts";
import type { UnitQConfigs } from "./weights.ts";

export type UnsupportedKind =
  /** The backend lists the pattern, but not with these dtypes or ranges. */
  | "dtypes"
  /** Activations are quantized, the weight is not. */
  | "weight"
  /** The setting names this type or module, and the backend lists no pattern for it. */
  | "pattern";

/** One layer or operator that stays float (or keeps a float weight) although its qconfig asks for integers. */
export interface UnsupportedSetting {
  readonly kind: UnsupportedKind;
  /** Class of the layer (of a fused one, the fused class), or operator. */
  readonly type: string;
  /** Path of the layer, or of the module that calls the operator; "" for the root. */
  readonly path: string;
  /** The user's file and line; empty when not known. */
  readonly location: string;
  /** What the backend offers instead. */
  readonly reason: string;
  /** All of it as one sentence. */
  readonly message: string;
}

/** What to do with them: keep the list (default), refuse the first, or be told of each. */
export type OnUnsupported = "report" | "error" | ((setting: UnsupportedSetting) => void);

function entry(kind: UnsupportedKind, unit: Unit, backend: BackendConfig, reason: string): UnsupportedSetting {
  const { path, type } = unit.record;
  const location = unit.nodes[0]!.source.location;
  const where = [path, location].filter((part) => part !== "").join(", ");
  const stays = kind === "weight" ? "keeps a float weight" : "stays float";
  const name = backend.name === "" ? "the backend" : `backend ${backend.name}`;
  const message = `${type}${where && ` (${where})`} ${stays}: ${name} runs it with ${reason}`;
  return Object.freeze({
    kind,
    type,
    path,
    location,
    reason,
    message: kind === "pattern" ? message.replace(/runs it with .*/s, reason) : message,
  });
}

/** Whether a setting is about this unit in particular, rather than about everything. */
function isNamed(mapping: QConfigMapping, { record }: Unit): boolean {
  const byType = mapping.objectTypeQConfigs.get(record.type);
  const byName = record.kind === "operator" ? undefined : mapping.moduleNameQConfigs.get(record.path);
  return [byType, byName].some((qconfig) => qconfig && !isReuseInputQConfig(qconfig));
}

export interface SettingsInput {
  readonly units: readonly Unit[];
  readonly matches: Matches;
  readonly qconfigs: UnitQConfigs;
  readonly plans: Plans;
  readonly mapping: QConfigMapping;
  readonly backend: BackendConfig;
  /** Modules with a quantization of their own. */
  readonly alone: ReadonlySet<Unit>;
}

/** Every setting without effect, in the order of the graph. Units must know whether they are observed. */
export function unsupportedSettings(input: SettingsInput): UnsupportedSetting[] {
  const { units, matches, qconfigs, plans, mapping, backend, alone } = input;
  return units.flatMap((unit): UnsupportedSetting[] => {
    const qconfig = qconfigs.get(unit) ?? null;
    if (!qconfig || alone.has(unit)) return [];
    const reason = plans.unsupported.get(unit);
    if (reason !== undefined) return [entry("dtypes", unit, backend, reason)];
    if (!matches.has(unit))
      return isNamed(mapping, unit) ? [entry("pattern", unit, backend, "lists no pattern for it")] : [];
    const hasWeight = unit.nodes.some((node) => weightIndexes[node.target] !== undefined);
    if (!unit.isLayer || !hasWeight || !unit.record.isObserved || convertsWeight(unit, qconfig, backend)) return [];
    const dtypes = backend.configs.find(({ pattern }) => pattern === unit.type)?.dtypeConfigs ?? [];
    const offered = [...new Set(dtypes.flatMap(({ weight }) => (weight ? [`weight ${weight.dtype}`] : [])))];
    return [entry("weight", unit, backend, offered.join(" or ") || "float weights only")];
  });
}

/** Does as told with each. @throws QuantError for the first when told "error". */
export function handleUnsupported(settings: readonly UnsupportedSetting[], on: OnUnsupported): void {
  for (const setting of settings) {
    if (typeof on === "function") on(setting);
    else if (on === "error") {
      const { type, path, location, reason } = setting;
      throw new QuantError(
        "prepareFx",
        { type, path, location, offered: reason },
        "the backend does not run this as its qconfig asks",
        "Set its qconfig to null, or to one the backend lists",
      );
    }
  }
}
