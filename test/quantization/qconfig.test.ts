/** QConfigs: what they refuse, and when two are equal. Their settings are compared in fake-quantize-golden.test.ts. */

import { expect, test } from "vitest";
import { ArgumentError, QuantError } from "../../src/errors.ts";
import * as q from "../../src/quantization/index.ts";

test("instances are refused, by name", () => {
  const weight = q.defaultWeightObserver;
  const instance = new q.MinMaxObserver() as unknown as q.FactoryLike;
  expect(() => new q.QConfig({ activation: instance, weight })).toThrow(QuantError);
  expect(() => new q.QConfig({ activation: instance, weight })).toThrow(/MinMaxObserver/);
  expect(() => new q.QConfig({ activation: weight, weight: null as unknown as q.FactoryLike })).toThrow(QuantError);
});

test("equal means equal classes and options, through nested observers", () => {
  expect(q.qconfigEquals(q.getDefaultQConfig("x86"), q.getDefaultQConfig("fbgemm"))).toBe(true);
  expect(q.qconfigEquals(q.getDefaultQConfig("x86"), q.getDefaultQConfig("qnnpack"))).toBe(false);
  expect(q.qconfigEquals(q.getDefaultQatQConfig("x86", 0), q.getDefaultQatQConfig("x86", 0))).toBe(true);
  expect(q.qconfigEquals(q.getDefaultQatQConfig("x86", 0), q.getDefaultQatQConfig("x86", 1))).toBe(false);
  expect(q.qconfigEquals(q.float16StaticQConfig, q.float16DynamicQConfig)).toBe(false);
  expect(q.qconfigEquals(null, undefined)).toBe(true);
  expect(q.qconfigEquals(q.defaultQConfig, null)).toBe(false);
  const nested = (quantMax: number): q.QConfig =>
    new q.QConfig({
      activation: q.FakeQuantize.withArgs({ observer: q.MinMaxObserver.withArgs({ quantMin: 0, quantMax }) }),
      weight: q.MinMaxObserver,
    });
  expect(q.qconfigEquals(nested(127), nested(127))).toBe(true);
  expect(q.qconfigEquals(nested(127), nested(255))).toBe(false);
});

test("unknown backends and versions are refused", () => {
  expect(() => q.getDefaultQConfig("tpu" as q.QuantBackend)).toThrow(ArgumentError);
  expect(() => q.getDefaultQConfig("toString" as q.QuantBackend)).toThrow(ArgumentError);
  expect(() => q.getDefaultQatQConfig("x86", 7)).toThrow(ArgumentError);
});

test("marks of dynamic training and of shared parameters", () => {
  expect(q.activationIsMemoryless(q.defaultDynamicQatQConfig)).toBe(true);
  expect(q.activationIsMemoryless(q.defaultQatQConfig)).toBe(false);
  expect(q.isReuseInputQConfig(q.defaultReuseInputQConfig)).toBe(true);
  expect(q.isReuseInputQConfig(q.defaultQConfig)).toBe(false);
});

test("qconfigs are frozen, and make a fresh module each time", () => {
  expect(Object.isFrozen(q.defaultQConfig)).toBe(true);
  expect(q.defaultQConfig.activation()).not.toBe(q.defaultQConfig.activation());
});
