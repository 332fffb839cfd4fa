/**
 * An observer or a fake-quantize as plain data: its settings, what it saw, and the parameters that follow.
 */

import { isWatcher } from "../doctor/analysis/units.ts";
import type { AnyModule } from "../nn/module.ts";
import { FakeQuantizeBase } from "../quantization/fake-quantize/base.ts";
import { Tensor } from "../tensor/tensor.ts";

export interface WatcherReport {
  readonly className: string;
  /** The observer inside a fake-quantize. */
  readonly observer: string | null;
  readonly dtype: string;
  readonly settings: Readonly<Record<string, number | string | boolean>>;
  /** Whether it has seen data. */
  readonly observed: boolean;
  /** Smallest and largest value seen, over all channels. */
  readonly range: readonly [min: number, max: number] | null;
  readonly scale: readonly number[] | null;
  readonly zeroPoint: readonly number[] | null;
  /** Fake-quantize only: whether it observes, and whether it rounds. */
  readonly observes: boolean | null;
  readonly rounds: boolean | null;
}

/** Options worth showing, where a class has them. */
const SETTINGS = ["qscheme", "quantMin", "quantMax", "reduceRange", "averagingConstant", "bins", "chAxis", "isDynamic"];

function settingsOf(watcher: object): Record<string, number | string | boolean> {
  const found: Record<string, number | string | boolean> = {};
  for (const name of SETTINGS) {
    const value = (watcher as Record<string, unknown>)[name];
    if (typeof value === "number" || typeof value === "string" || typeof value === "boolean") found[name] = value;
  }
  return found;
}

function rangeOf(observer: object): readonly [number, number] | null {
  const { minVal, maxVal } = observer as { minVal?: unknown; maxVal?: unknown };
  if (!(minVal instanceof Tensor && maxVal instanceof Tensor) || minVal.numel === 0) return null;
  let [min, max] = [Infinity, -Infinity];
  for (const value of minVal.data) min = Math.min(min, value);
  for (const value of maxVal.data) max = Math.max(max, value);
  return min <= max ? [min, max] : null;
}

interface Answers {
  calculateQParams(): { readonly scale: Tensor; readonly zeroPoint: Tensor; readonly observed: boolean };
}

/** Parameters, or null where there are none to speak of: no data yet, or an observer that computes none. */
function parametersOf(watcher: AnyModule): { scale: number[]; zeroPoint: number[] } | null {
  try {
    const { scale, zeroPoint, observed } = (watcher as unknown as Answers).calculateQParams();
    return observed ? { scale: [...scale.data], zeroPoint: [...zeroPoint.data] } : null;
  } catch {
    return null;
  }
}

/** An observer's or fake-quantize's report; null for any other module. */
export function reportWatcher(watcher: AnyModule | null | undefined): WatcherReport | null {
  if (!watcher || !isWatcher(watcher)) return null;
  const fake = watcher instanceof FakeQuantizeBase ? watcher : null;
  const inside = (watcher as { activationPostProcess?: AnyModule }).activationPostProcess;
  const parameters = parametersOf(watcher);
  return {
    className: watcher.constructor.name,
    observer: inside?.constructor.name ?? null,
    dtype: (watcher as unknown as { dtype: string }).dtype,
    settings: { ...settingsOf(inside ?? watcher), ...settingsOf(watcher) },
    observed: parameters !== null,
    range: rangeOf(inside ?? watcher),
    scale: parameters?.scale ?? null,
    zeroPoint: parameters?.zeroPoint ?? null,
    observes: fake && fake.observerEnabled.item() === 1,
    rounds: fake && fake.fakeQuantEnabled.item() === 1,
  };
}
