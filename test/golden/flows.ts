/** What the flow tests share: building the model of a case, comparing state dicts, and recording what layers give. */

import { expect } from "vitest";
import * as defaults from "../../src/quantization/index.ts";
import type { QConfig } from "../../src/quantization/qconfig.ts";
import type { AnyModule } from "../../src/nn/module.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { EXACT, expectNumbers, expectTensor, fieldsAt, listAt, numberAt, tensorAt } from "./compare.ts";
import type { Budget } from "./compare.ts";
import { makeModel } from "./flow-models.ts";
import type { FlowModel } from "./flow-models.ts";
import type { Fields, GoldenCase, Value } from "./load.ts";

const qconfigs: Readonly<Record<string, () => QConfig>> = {
  x86: () => defaults.getDefaultQConfig("x86"),
  qnnpack: () => defaults.getDefaultQConfig("qnnpack"),
  onednn: () => defaults.getDefaultQConfig("onednn"),
  default: () => defaults.defaultQConfig,
  symmetricQnnpack: () => defaults.defaultSymmetricQnnpackQConfig,
  perChannelSymmetricQnnpack: () => defaults.defaultPerChannelSymmetricQnnpackQConfig,
  perChannel: () => defaults.defaultPerChannelQConfig,
  qatX86: () => defaults.getDefaultQatQConfig("x86"),
  qatX86V0: () => defaults.getDefaultQatQConfig("x86", 0),
  qatQnnpack: () => defaults.getDefaultQatQConfig("qnnpack"),
  qatDefault: () => defaults.defaultQatQConfig,
  defaultDynamicQatQConfig: () => defaults.defaultDynamicQatQConfig,
  defaultEmbeddingQatQConfig: () => defaults.defaultEmbeddingQatQConfig,
  perChannelDynamicQConfig: () => defaults.perChannelDynamicQConfig,
};

export function qconfigOf(name: Value | undefined): QConfig {
  return qconfigs[name as string]!();
}

/** The float model of a case, with the weights of the file. */
export function floatModel({ inputs, attrs }: GoldenCase): FlowModel {
  const model = makeModel(attrs);
  model.loadStateDict(new Map(Object.entries(fieldsAt(inputs, "state")) as [string, Tensor][]));
  return model;
}

/** Sets the case's qconfig on the model, or on the parts it names. */
export function setQConfig(model: AnyModule, attrs: Fields): void {
  const parts = (attrs["qconfigFor"] ?? [""]) as readonly string[];
  for (const path of parts) model.getSubmodule(path).qconfig = qconfigOf(attrs["qconfig"]);
}

/** PyTorch's state as flat entries: packed pairs by position, dtypes and absent biases left out. */
export function flattened(state: Fields): [string, Tensor | Fields][] {
  return Object.entries(state).flatMap(([key, value]): [string, Tensor | Fields][] => {
    if (Array.isArray(value)) {
      return (value as readonly Value[]).flatMap((item, i) => (item instanceof Tensor ? [[`${key}.${i}`, item] as [string, Tensor]] : []));
    }
    return typeof value === "object" && value !== null ? [[key, value as Tensor | Fields]] : [];
  });
}

/**
 * A float sum that differs in its last bit may fall into the next bin, so single counts are compared with this budget;
 * that histograms are equal for equal data is tested with the observers.
 */
const MOVED: Budget = { absolute: 2 };

function expectHistogram(actual: Tensor, expected: Fields, where: string): void {
  const dense = new Float32Array(numberAt(expected, "bins"));
  const count = tensorAt(expected, "count").data;
  tensorAt(expected, "index").data.forEach((bin, i) => (dense[bin] = count[i]!));
  expectNumbers(actual.data, dense, MOVED, where);
  const total = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);
  expectNumbers([total(actual.data)], [total(dense)], { relative: 1e-6 }, `${where}: total`);
}

/** Integers equal; their scales within the budget. */
export function expectQuantized(actual: Tensor, expected: Tensor, budget: Budget, where: string): void {
  const [own, given] = [actual.qparams!, expected.qparams!];
  if (own.kind === "perTensor" && given.kind === "perTensor") {
    expectNumbers([own.scale], [given.scale], budget, `${where}: scale`);
    expectTensor(new Tensor(actual.dtype, actual.shape, actual.data, given), expected, EXACT, where);
    expect(own.zeroPoint, `${where}: zero point`).toBe(given.zeroPoint);
    return;
  }
  if (own.kind === "perTensor" || given.kind === "perTensor") expect.fail(`${where}: ${own.kind}, expected ${given.kind}`);
  expectNumbers(own.scales, given.scales, budget, `${where}: scales`);
  expectNumbers(own.zeroPoints, given.zeroPoints, own.kind === "perChannelFloat" ? budget : EXACT, `${where}: zero points`);
  expectTensor(new Tensor(actual.dtype, actual.shape, actual.data, given), expected, EXACT, where);
}

function expectEntry(actual: Tensor, expected: Tensor | Fields, budget: Budget, where: string): void {
  if (!(expected instanceof Tensor)) expectHistogram(actual, expected, where);
  else if (expected.isQuantized) expectQuantized(actual, expected, budget, where);
  // PyTorch's zero points are int32 or int64, by the observer they came from.
  else if (expected.dtype === "int32" && actual.dtype === "int64") expectNumbers(actual.data, expected.data, EXACT, where);
  else expectTensor(actual, expected, budget, where);
}

/**
 * Keys that are not compared: eps is a constant; PyTorch forgets to save what its quantized ELU and PReLU need; and its
 * quantizable attention drags along the float projection that it no longer uses.
 */
const NOT_COMPARED = [/(^|\.)eps$/, /^(elu|prelu)\.(scale|zero_point)$/, /^prelu\.weight$/, /^attention\.in_proj_(weight|bias)$/];

export function isCompared(key: string): boolean {
  return !NOT_COMPARED.some((pattern) => pattern.test(key));
}

/** QNNPACK makes up a bias of zeros for layers that have none. */
function isZeroBias(key: string, value: Tensor | Fields): boolean {
  return key.endsWith("_packed_params.1") && value instanceof Tensor && value.data.every((v) => v === 0);
}

/** Asserts that a model has PyTorch's state: the same keys, and values within the budget. */
export function expectState(model: AnyModule, expected: Fields, budget: Budget, where: string): void {
  const state = model.stateDict();
  const entries = flattened(expected).filter(([key, value]) => isCompared(key) && !(isZeroBias(key, value) && !state.has(key)));
  const own = [...state.keys()].filter(isCompared);
  expect(own.sort(), `${where}: keys`).toEqual(entries.map(([key]) => key).sort());
  for (const [key, value] of entries) expectEntry(state.get(key)!, value, budget, `${where}: ${key}`);
}

/** A module path without the differences between snake_case and camelCase. */
function plainName(path: string): string {
  return path.replaceAll("_", "").toLowerCase();
}

/** Runs a converted model on the test batches and compares every recorded integer, and the outputs. */
export function expectRun(model: FlowModel, one: GoldenCase, budget: Budget): void {
  const layers = new Map<string, Tensor>();
  const integers: Tensor[] = [];
  for (const [path, module] of model.namedModules()) {
    module.registerForwardHook((_, args, output) => {
      const name = plainName(path);
      if (output instanceof Tensor && output.isQuantized && !layers.has(name)) layers.set(name, output);
      const [x] = args;
      if (path === "dequant" && x instanceof Tensor && x.isQuantized) integers.push(x);
    });
  }
  const outputs = listAt(one.inputs, "test").map((batch) =>
    model.forward(...(Array.isArray(batch) ? (batch as readonly Tensor[]) : [batch as Tensor])),
  );
  for (const [path, expected] of Object.entries(fieldsAt(one.expected, "layers"))) {
    const actual = layers.get(plainName(path));
    if (actual) expectQuantized(actual, expected as Tensor, budget, `layer ${path}`);
    else expect.fail(`layer ${path} gave no integers`);
  }
  listAt(one.expected, "intOutput").forEach((expected, i) => expectQuantized(integers[i]!, expected as Tensor, budget, `integer output ${i}`));
  listAt(one.expected, "output").forEach((expected, i) => expectEntry(outputs[i]!, expected as Tensor, budget, `output ${i}`));
}
