/**
 * What the golden flow tests share: models and qconfigs by name, state dicts compared with PyTorch's.
 */

import { expect } from "vitest";
import type { AnyModule } from "../../../src/nn/module.ts";
import * as qconfig from "../../../src/quantization/qconfig-defaults.ts";
import type { QConfig } from "../../../src/quantization/qconfig.ts";
import { isFloat } from "../../../src/tensor/dtype.ts";
import { fromArray } from "../../../src/tensor/create.ts";
import { Tensor } from "../../../src/tensor/tensor.ts";
import type { Value } from "../../golden/load.ts";

/** QConfigs by their names in golden/make/flows.py. */
export const qconfigs: Readonly<Record<string, QConfig>> = {
  x86: qconfig.getDefaultQConfig("x86"),
  qnnpack: qconfig.getDefaultQConfig("qnnpack"),
  onednn: qconfig.getDefaultQConfig("onednn"),
  default: qconfig.defaultQConfig,
  perChannel: qconfig.defaultPerChannelQConfig,
  qatX86: qconfig.getDefaultQatQConfig("x86"),
  qatX86V0: qconfig.getDefaultQatQConfig("x86", 0),
  qatQnnpack: qconfig.getDefaultQatQConfig("qnnpack"),
  qatDefault: qconfig.defaultQatQConfig,
  defaultDynamicQatQConfig: qconfig.defaultDynamicQatQConfig,
  defaultEmbeddingQatQConfig: qconfig.defaultEmbeddingQatQConfig,
  perChannelDynamicQConfig: qconfig.perChannelDynamicQConfig,
};

export function loadFloat(model: AnyModule, state: Readonly<Record<string, Tensor>>): void {
  model.loadStateDict(new Map(Object.entries(state)));
}

/** Float statistics after sums in another order: relative to the largest value of the tensor. */
const FLOAT_BUDGET = 1e-5;

function closeTo(actual: Tensor, expected: Tensor, label: string, budget: number): void {
  const largest = Array.from(expected.data).reduce(
    (most, v) => Math.max(most, Number.isFinite(v) ? Math.abs(v) : 0),
    1e-6,
  );
  expect(actual.numel, label).toBe(expected.numel);
  expected.data.forEach((v, i) => {
    const own = actual.data[i]!;
    if (Object.is(own, v)) return;
    expect(Math.abs(own - v), `${label}[${i}]: ${own} for ${v}`).toBeLessThanOrEqual(budget * largest);
  });
}

/** Integers and quantization parameters must be equal; floats within the budget. */
export function compareTensor(
  actual: Tensor | undefined,
  expected: Tensor,
  label: string,
  budget = FLOAT_BUDGET,
): void {
  expect(actual, label).toBeDefined();
  if (expected.isQuantized) {
    expect(actual!.qparams, `parameters of ${label}`).toEqual(expected.qparams);
    expect([...actual!.data], `integers of ${label}`).toEqual([...expected.data]);
  } else if (isFloat(expected.dtype)) closeTo(actual!, expected, label, budget);
  else expect([...actual!.data], label).toEqual([...expected.data]);
}

/** A histogram written as its non-zero bins. */
function denseHistogram(value: {
  bins: number;
  index: Tensor | readonly number[];
  count: Tensor | readonly number[];
}): number[] {
  const list = (v: Tensor | readonly number[]): number[] => (v instanceof Tensor ? [...v.data] : [...v]);
  const out = new Array<number>(value.bins).fill(0);
  const counts = list(value.count);
  list(value.index).forEach((at, i) => (out[at] = counts[i]!));
  return out;
}

/** Share of a histogram's counts that may lie in a neighbouring bin, because float sums were added in another order. */
const MOVED_SHARE = 0.02;

function compareHistogram(actual: Tensor, expected: readonly number[], label: string): void {
  const total = Math.max(
    expected.reduce((a, b) => a + b, 0),
    1,
  );
  let [own, theirs, moved] = [0, 0, 0];
  expected.forEach((count, i) => {
    own += actual.data[i]!;
    theirs += count;
    moved += Math.abs(own - theirs);
  });
  expect(Math.abs(own - theirs) / total, `counts of ${label}`).toBeLessThan(FLOAT_BUDGET);
  expect(moved / total, `bins of ${label}`).toBeLessThan(MOVED_SHARE);
}

/**
 * Puts PyTorch's prepared state in the place of ours, so that what follows starts from the same numbers.
 * Entries PyTorch does not list (eps, unused copies) stay.
 */
export function takeState(model: AnyModule, expected: Readonly<Record<string, Value>>): void {
  const own = model.stateDict();
  const entries = Object.entries(expected).flatMap(([key, value]): [string, Tensor][] => {
    if (SKIPPED.test(key) || !own.has(key)) return [];
    if (value instanceof Tensor) return [[key, value]];
    return [[key, fromArray(denseHistogram(value as never), own.get(key)!.shape)]];
  });
  model.loadStateDict(new Map([...own, ...entries]));
}

/** Keys PyTorch keeps that are not tensors, or are unused copies (the packed projections of observed attention). */
const SKIPPED = /(\.dtype|weight_dtype|weight_qscheme|in_proj_weight|in_proj_bias)$/;

/** Every entry of PyTorch's state dict, by its key. */
export function compareState(
  model: AnyModule,
  expected: Readonly<Record<string, Value>>,
  stage: string,
  budget = FLOAT_BUDGET,
): void {
  const state = model.stateDict();
  for (const [key, value] of Object.entries(expected)) {
    const label = `${stage} ${key}`;
    if (SKIPPED.test(key) || value === null) continue;
    if (Array.isArray(value)) {
      const [weight, bias] = value as [Tensor, Tensor | null];
      compareTensor(state.get(`${key}.0`), weight, `${label}.0`);
      // qnnpack answers zeros for a bias that is not there.
      if (bias && !(state.get(`${key}.1`) === undefined && bias.data.every((v) => v === 0))) {
        compareTensor(state.get(`${key}.1`), bias, `${label}.1`, budget);
      }
    } else if (value instanceof Tensor) compareTensor(state.get(key), value, label, budget);
    else if (typeof value === "object" && "bins" in value) {
      compareHistogram(state.get(key)!, denseHistogram(value as never), label);
    }
  }
}

/** PyTorch's spelling of a module path. */
function pythonPath(path: string): string {
  return path
    .replace(/linear([QKV])/, "linear_$1")
    .replace(/[a-z0-9][A-Z](?=[a-z])|[a-z](?=$)/g, (m) => (m.length === 2 ? `${m[0]}_${m[1]!.toLowerCase()}` : m));
}

/** The first output of every leaf while `run` runs, by PyTorch's module path. */
export function outputsByModule(model: AnyModule, run: () => void): Map<string, Tensor> {
  const outputs = new Map<string, Tensor>();
  const handles = model.namedModules().map(([path, module]) =>
    module.registerForwardHook((_module, _args, output) => {
      const name = pythonPath(path);
      if (output instanceof Tensor && !outputs.has(name)) outputs.set(name, output);
    }),
  );
  run();
  for (const handle of handles) handle.remove();
  return outputs;
}
