/**
 * What training layers need of a QConfig: a constructor of weight fake-quantize modules.
 */

import { QuantError } from "../../errors.ts";
import type { Module } from "../module.ts";

export interface WeightQConfig {
  readonly weight: () => Module;
}

/** @throws QuantError unless it is a QConfig. */
export function requireQConfig(where: string, qconfig: unknown): WeightQConfig {
  const given = qconfig as Partial<WeightQConfig> | null | undefined;
  if (typeof given?.weight === "function") return given as WeightQConfig;
  throw new QuantError(
    where,
    { qconfig: qconfig === null ? null : typeof qconfig },
    "a training layer needs a QConfig",
  );
}
