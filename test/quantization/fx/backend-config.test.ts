/**
 * The tables of backends, named qconfigs and default mappings against PyTorch's own (golden/programs/backend-configs.json).
 */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { DTypeConfig, DTypeWithConstraints } from "../../../src/quantization/fx/backend-config.ts";
import * as fx from "../../../src/quantization/fx/index.ts";
import { typeNames } from "../../golden/programs/fx-names.ts";

interface Dtype {
  readonly dtype: string;
}
type NestedPattern = string | readonly NestedPattern[];
interface Entry {
  readonly pattern: NestedPattern;
  readonly complexFormat: boolean;
  readonly observationType: string;
  readonly dtypeConfigs: readonly {
    input?: Dtype;
    output?: Dtype;
    weight?: Dtype;
    bias?: string;
    isDynamic: boolean;
  }[];
  readonly numTensorArgsToObservationType?: Readonly<Record<string, string>>;
  readonly rootModule?: string;
}
interface Golden {
  readonly backends: Readonly<Record<string, readonly Entry[]>>;
}

const golden = JSON.parse(
  readFileSync(new URL("../../../golden/programs/backend-configs.json", import.meta.url), "utf8"),
) as Golden;

const sorted = (fields: object): unknown =>
  Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));

function ownDtypes({ input, output, weight, bias, isDynamic }: DTypeConfig): unknown {
  const side = (name: string, value: DTypeWithConstraints | null): object => (value ? { [name]: sorted(value) } : {});
  return {
    ...side("input", input),
    ...side("output", output),
    ...side("weight", weight),
    ...(bias && { bias }),
    isDynamic,
  };
}

function theirDtypes({ input, output, weight, bias, isDynamic }: Entry["dtypeConfigs"][number]): unknown {
  const side = (name: string, value: Dtype | undefined): object => (value ? { [name]: sorted(value) } : {});
  return {
    ...side("input", input),
    ...side("output", output),
    ...side("weight", weight),
    ...(bias && { bias }),
    isDynamic,
  };
}

/** PyTorch's spellings of one of fewbit's types are several; every one of them must be listed with the same settings. */
function ownPatterns(pattern: NestedPattern, complex: boolean): string[] {
  if (typeof pattern === "string") return typeNames(pattern).map((name) => JSON.stringify(name));
  const parts = complex ? fromReversed(pattern) : [...pattern];
  return combinations(parts).map((chain) => JSON.stringify(chain));
}

/** (relu, (add, conv, any)) → [[conv, any], add, relu]; (bn, conv) → [conv, bn]. */
function fromReversed(pattern: NestedPattern): NestedPattern[] {
  if (typeof pattern === "string") return [pattern];
  const [last, ...operands] = pattern;
  if (operands.length === 1) return [...fromReversed(operands[0]!), last!];
  const inner = operands.map((operand) => {
    const chain = fromReversed(operand);
    return chain.length === 1 ? chain[0]! : chain;
  });
  return [inner, last!];
}

function combinations(parts: readonly NestedPattern[]): unknown[][] {
  return parts.reduce<unknown[][]>(
    (chains, part) => {
      const names: readonly unknown[] = typeof part === "string" ? typeNames(part) : combinations(part);
      return chains.flatMap((chain) => names.map((name) => [...chain, name]));
    },
    [[]],
  );
}

const backends = {
  native: fx.getNativeBackendConfig(),
  fbgemm: fx.getFbgemmBackendConfig(),
  x86: fx.getX86BackendConfig(),
  qnnpack: fx.getQnnpackBackendConfig(),
  onednn: fx.getOnednnBackendConfig(),
  executorch: fx.getExecutorchBackendConfig(),
  tensorrt: fx.getTensorrtBackendConfig(),
};

describe("backend configs", () => {
  it.each(Object.entries(backends))("%s lists PyTorch's patterns", (name, config) => {
    const expected = new Map<string, Entry>();
    for (const entry of golden.backends[name]!)
      for (const key of ownPatterns(entry.pattern, entry.complexFormat)) expected.set(key, entry);
    const own = new Map(config.configs.map((one) => [one.key, one]));
    expect([...own.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [key, entry] of expected) {
      const one = own.get(key)!;
      expect([key, one.observationType], key).toEqual([key, entry.observationType]);
      expect([key, one.dtypeConfigs.map(ownDtypes)], key).toEqual([key, entry.dtypeConfigs.map(theirDtypes)]);
      const counts = one.numTensorArgsToObservationType;
      expect(counts ? Object.fromEntries(counts) : undefined, key).toEqual(entry.numTensorArgsToObservationType);
      expect(one.rootModule ?? undefined, key).toEqual(entry.rootModule ? typeNames(entry.rootModule)[0] : undefined);
    }
  });
});
