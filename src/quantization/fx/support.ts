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

/** What of an observer's range, smallest scale and (fixed) parameters breaks a constraint; null when nothing does. */
function broken(factory: ModuleFactory, constraint: DTypeWithConstraints): string | null {
  const { quantMinLowerBound, quantMaxUpperBound, scaleMinLowerBound, scaleExactMatch, zeroPointExactMatch } =
    constraint;
  const made = madeBy(toFactory(factory));
  if (!made) return null;
  const { quantMin, quantMax, eps } = made;
  if (quantMinLowerBound !== undefined && quantMin < quantMinLowerBound)
    return `quantMin is ${quantMin}, and must be at least ${quantMinLowerBound}`;
  if (quantMaxUpperBound !== undefined && quantMax > quantMaxUpperBound)
    return `quantMax is ${quantMax}, and must be at most ${quantMaxUpperBound}`;
  if (scaleMinLowerBound !== undefined && eps < scaleMinLowerBound)
    return `the smallest scale (eps) is ${eps}, and must be at least ${scaleMinLowerBound}`;
  if (scaleExactMatch === undefined && zeroPointExactMatch === undefined) return null;
  const fixed = fixedQParams(factory);
  const matches =
    fixed !== null &&
    fixed.scale === Math.fround(scaleExactMatch ?? fixed.scale) &&
    fixed.zeroPoint === (zeroPointExactMatch ?? fixed.zeroPoint);
  return matches ? null : `the parameters must be fixed at scale ${scaleExactMatch}, zero point ${zeroPointExactMatch}`;
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

function named({ dtype, isDynamic }: Target): string {
  return isDynamic ? `dynamic ${dtype}` : dtype;
}

type Asked = NonNullable<MappedQConfig>;

/** Why one combination of dtypes does not fit; null when it does. */
function misfit(config: DTypeConfig, wanted: Wanted, qconfig: Asked): string | null {
  const { input, output, weight, bias, isDynamic } = config;
  if (input && wanted.readsActivations) {
    const [has, wants] = [named({ dtype: input.dtype, isDynamic }), named(wanted.input)];
    if (has !== wants) return `input ${has}, not ${wants}`;
    const why = broken(qconfig.activation, input);
    if (why) return `input ${has}: ${why}`;
  }
  if (weight && wanted.weight) {
    if (weight.dtype !== wanted.weight.dtype) return `weight ${weight.dtype}, not ${wanted.weight.dtype}`;
    const why = broken(qconfig.weight, weight);
    if (why) return `weight ${weight.dtype}: ${why}`;
  }
  if (bias && wanted.bias && bias !== wanted.bias) return `bias ${bias}, not ${wanted.bias}`;
  if (output === null) return null;
  const given = wanted.output.isDynamic ? "float32" : wanted.output.dtype;
  if (output.dtype !== given) return `output ${output.dtype}, not ${given}`;
  const why = broken(qconfig.activation, output);
  return why && `output ${output.dtype}: ${why}`;
}

export function isSupported(configs: readonly DTypeConfig[], wanted: Wanted, qconfig: MappedQConfig): boolean {
  return qconfig !== null && configs.some((config) => misfit(config, wanted, qconfig) === null);
}

/** What the backend offers instead of what is wanted, one clause a combination of dtypes. */
export function whyUnsupported(configs: readonly DTypeConfig[], wanted: Wanted, qconfig: Asked): string {
  const reasons = configs.map((config) => misfit(config, wanted, qconfig)).filter((reason) => reason !== null);
  return reasons.length > 0 ? [...new Set(reasons)].join("; or ") : "it lists no dtypes for this pattern";
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
