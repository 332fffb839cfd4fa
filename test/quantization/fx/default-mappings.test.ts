/**
 * The default mappings of every backend against PyTorch's own (golden/programs/backend-configs.json).
 */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FakeQuantizeBase } from "../../../src/quantization/index.ts";
import type { QuantBackend } from "../../../src/quantization/index.ts";
import { getDefaultQConfigMapping, getDefaultQatQConfigMapping } from "../../../src/quantization/fx/index.ts";
import type { MappedQConfig } from "../../../src/quantization/fx/index.ts";
import { observedOf } from "../../../src/quantization/pt2e/convert.ts";
import { typeNames } from "../../golden/programs/fx-names.ts";

interface Observer {
  readonly class: string;
  readonly dtype: string;
  readonly qscheme?: string;
  readonly quantMin?: number;
  readonly quantMax?: number;
  readonly isDynamic?: boolean;
}
interface Pair {
  readonly activation: Observer;
  readonly weight: Observer;
}
interface Mapping {
  readonly global: Pair;
  readonly objectType: readonly (readonly [string, Pair])[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../../golden/programs/backend-configs.json", import.meta.url), "utf8"),
) as {
  readonly mappings: Readonly<Record<string, Mapping>>;
};

/** What the golden file says of an observer, of one made by a constructor. */
function described(make: () => object, expected: Observer): Partial<Observer> {
  const module = make();
  const observed = observedOf(module as never)!;
  return {
    class: module.constructor.name,
    dtype: observed.dtype,
    ...(expected.qscheme && { qscheme: observed.qscheme }),
    ...(expected.quantMin !== undefined && { quantMin: observed.quantMin, quantMax: observed.quantMax }),
    isDynamic: observed.isDynamic,
  };
}

function expectPair(qconfig: MappedQConfig | undefined, { activation, weight }: Pair, name: string): void {
  const picked = ({ class: type, dtype, qscheme, quantMin, quantMax }: Observer): object => ({
    class: type,
    dtype,
    ...(qscheme && { qscheme }),
    ...(quantMin !== undefined && { quantMin, quantMax }),
    isDynamic: false,
  });
  expect([
    name,
    described(() => qconfig!.activation(), activation),
    described(() => qconfig!.weight(), weight),
  ]).toEqual([name, picked(activation), picked(weight)]);
}

describe("default mappings", () => {
  it.each(Object.entries(golden.mappings))("%s", (name, expected) => {
    const [kind, backend] = name.split(":") as [string, QuantBackend];
    const isQat = kind.includes("qat");
    const mapping = isQat ? getDefaultQatQConfigMapping(backend) : getDefaultQConfigMapping(backend);
    expectPair(mapping.globalQConfig, expected.global, "global");
    expect(mapping.globalQConfig!.activation() instanceof FakeQuantizeBase).toBe(isQat);
    const types = new Map(
      expected.objectType.flatMap(([type, pair]) => typeNames(type).map((own) => [own, pair] as const)),
    );
    expect([...mapping.objectTypeQConfigs.keys()].sort()).toEqual([...types.keys()].sort());
    for (const [type, pair] of types) expectPair(mapping.objectTypeQConfigs.get(type), pair, type);
  });
});
