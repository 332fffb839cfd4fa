/**
 * Whether a backend runs a pattern with what a qconfig asks for: dtypes of input, output, weight and bias, and the
 * constraints on their parameters. What it does not run stays float.
 * Source: torch/ao/quantization/fx/prepare.py and backend_config/utils.
 */

import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import { toFactory } from "../factory.ts";
import type { ModuleFactory } from "../factory.ts";
import { observedOf } from "../pt2e/convert.ts";
import type { Observed } from "../pt2e/convert.ts";
import { FixedQParamsObserver } from "../observers/passive.ts";
import { FakeQuantize } from "../fake-quantize/base.ts";
import type { DTypeConfig, DTypeWithConstraints } from "./backend-config.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";

/** What a constructor makes, found by making one; null for what is no observer (Identity). */
export function madeBy(factory: ModuleFactory): Observed | null {
  return observedOf(factory());
}

export interface Target {
  readonly dtype: DType;
  readonly isDynamic: boolean;
}

export const FLOAT_TARGET: Target = { dtype: "float32", isDynamic: false };

export function targetOf(factory: ModuleFactory): Target {
  const made = madeBy(factory);
  return made ? { dtype: made.dtype, isDynamic: made.isDynamic } : FLOAT_TARGET;
}

function fixedQParams(factory: ModuleFactory): { scale: number; zeroPoint: number } | null {
  const made = factory();
  const observer: unknown = made instanceof FakeQuantize ? made.activationPostProcess : made;
  if (!(observer instanceof FixedQParamsObserver)) return null;
  return { scale: observer.scale.item(), zeroPoint: observer.zeroPoint.item() };
}

/** Whether an observer's range, smallest scale and (fixed) parameters lie within a constraint. */
function satisfies(factory: ModuleFactory, constraint: DTypeWithConstraints): boolean {
  const { quantMinLowerBound, quantMaxUpperBound, scaleMinLowerBound, scaleExactMatch, zeroPointExactMatch } =
    constraint;
  const made = madeBy(toFactory(factory));
  if (!made) return true;
  if (quantMinLowerBound !== undefined && made.quantMin < quantMinLowerBound) return false;
  if (quantMaxUpperBound !== undefined && made.quantMax > quantMaxUpperBound) return false;
  if (scaleMinLowerBound !== undefined && made.eps < scaleMinLowerBound) return false;
  if (scaleExactMatch === undefined && zeroPointExactMatch === undefined) return true;
  const fixed = fixedQParams(factory);
  return (
    fixed !== null &&
    fixed.scale === Math.fround(scaleExactMatch ?? fixed.scale) &&
    fixed.zeroPoint === (zeroPointExactMatch ?? fixed.zeroPoint)
  );
}

/** What a unit is asked to be: targets of its input, output and (operators only) weight and bias. */
export interface Wanted {
  readonly input: Target;
  readonly output: Target;
  /** Null for layers, whose weights are asked about when they are converted. */
  readonly weight: Target | null;
  readonly bias: DType | null;
  /** Whether the unit reads activations at all. */
  readonly readsActivations: boolean;
}

function runs(config: DTypeConfig, wanted: Wanted, qconfig: NonNullable<MappedQConfig>): boolean {
  const { input, output, weight, bias, isDynamic } = config;
  if (input && wanted.readsActivations) {
    const fits =
      input.dtype === wanted.input.dtype &&
      isDynamic === wanted.input.isDynamic &&
      satisfies(qconfig.activation, input);
    if (!fits) return false;
  }
  if (weight && wanted.weight && !(weight.dtype === wanted.weight.dtype && satisfies(qconfig.weight, weight)))
    return false;
  if (bias && wanted.bias && bias !== wanted.bias) return false;
  const given = wanted.output.isDynamic ? "float32" : wanted.output.dtype;
  return output === null || (output.dtype === given && satisfies(qconfig.activation, output));
}

export function isSupported(configs: readonly DTypeConfig[], wanted: Wanted, qconfig: MappedQConfig): boolean {
  return qconfig !== null && configs.some((config) => runs(config, wanted, qconfig));
}

/** Whether a backend converts a layer's weight: asked of its whole qconfig when the layer is converted. */
export function isWeightSupported(configs: readonly DTypeConfig[], qconfig: NonNullable<MappedQConfig>): boolean {
  const [activation, weight] = [targetOf(qconfig.activation), targetOf(qconfig.weight)];
  const isFloat16 = activation.dtype === "float16" && weight.dtype === "float16";
  return configs.some((config) => {
    const [input, output] = [config.input?.dtype ?? "float32", config.output?.dtype ?? "float32"];
    const sameWeight = (config.weight?.dtype ?? "float32") === weight.dtype;
    if (config.isDynamic)
      return activation.isDynamic && input === activation.dtype && output === "float32" && sameWeight;
    const sameBias = (config.bias ?? "float32") === (isFloat16 ? "float16" : "float32");
    return input === activation.dtype && output === activation.dtype && sameWeight && sameBias;
  });
}

export function isQuantizedDtype(dtype: DType): boolean {
  return dtypeInfo[dtype].kind !== "float" || dtype === "float16";
}
