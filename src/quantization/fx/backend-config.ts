/**
 * What a backend can run in integers, as data: patterns of layers and operators, the dtypes each may have, and how
 * its outputs are observed. Source: torch/ao/quantization/backend_config/backend_config.py.
 */

import { ArgumentError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { objectTypeName } from "./names.ts";
import type { ObjectType } from "./names.ts";

/** How a pattern's output is observed. */
export const ObservationType = {
  /** By an observer of its own: convolutions, sums of two tensors. */
  OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT: "OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT",
  /** By its input's observer, because values are only chosen, moved or limited: pooling, concatenation. */
  OUTPUT_SHARE_OBSERVER_WITH_INPUT: "OUTPUT_SHARE_OBSERVER_WITH_INPUT",
  /** Neither input nor output: questions about shapes. */
  INPUT_OUTPUT_NOT_OBSERVED: "INPUT_OUTPUT_NOT_OBSERVED",
} as const;
export type ObservationType = (typeof ObservationType)[keyof typeof ObservationType];

/** A dtype, and what parameters the backend takes with it. Exact matches are for outputs of a known range. */
export interface DTypeWithConstraints {
  readonly dtype: DType;
  readonly quantMinLowerBound?: number;
  readonly quantMaxUpperBound?: number;
  readonly scaleMinLowerBound?: number;
  readonly scaleMaxUpperBound?: number;
  readonly scaleExactMatch?: number;
  readonly zeroPointExactMatch?: number;
}

export interface DTypeConfigFields {
  readonly inputDtype?: DType | DTypeWithConstraints;
  readonly outputDtype?: DType | DTypeWithConstraints;
  readonly weightDtype?: DType | DTypeWithConstraints;
  readonly biasDtype?: DType;
  /** Input parameters are chosen at run time, and the output is float. */
  readonly isDynamic?: boolean;
}

function withConstraints(given: DType | DTypeWithConstraints | undefined): DTypeWithConstraints | null {
  if (given === undefined) return null;
  return typeof given === "string" ? { dtype: given } : given;
}

/** One combination of dtypes that a pattern can run in; what is left out may be anything. */
export class DTypeConfig {
  readonly input: DTypeWithConstraints | null;
  readonly output: DTypeWithConstraints | null;
  readonly weight: DTypeWithConstraints | null;
  readonly bias: DType | null;
  readonly isDynamic: boolean;

  constructor(fields: DTypeConfigFields) {
    this.input = withConstraints(fields.inputDtype);
    this.output = withConstraints(fields.outputDtype);
    this.weight = withConstraints(fields.weightDtype);
    this.bias = fields.biasDtype ?? null;
    this.isDynamic = fields.isDynamic ?? false;
    Object.freeze(this);
  }
}

/**
 * What is matched: a type, or a chain of types from first to last. An element that is a list stands where one of
 * several operands of the element after it is meant: `[["Conv2d", "MatchAllNode"], "add"]` is conv + anything.
 */
export type BackendPattern = string | readonly (string | readonly BackendPattern[])[];

/** Stands for any node. */
export const MatchAllNode = "MatchAllNode";

export interface InputTypeToIndex {
  readonly weight?: number;
  readonly bias?: number;
}

type GivenPattern = ObjectType | readonly (ObjectType | readonly GivenPattern[])[];

function patternOf(given: GivenPattern): BackendPattern {
  if (!Array.isArray(given)) return objectTypeName(given as ObjectType);
  const list = given as readonly (ObjectType | readonly GivenPattern[])[];
  return list.map((part) =>
    Array.isArray(part) ? (part as readonly GivenPattern[]).map(patternOf) : objectTypeName(part as ObjectType),
  );
}

/** One pattern and everything the backend says of it. Setters return the config. */
export class BackendPatternConfig {
  readonly pattern: BackendPattern;
  observationType: ObservationType = ObservationType.OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT;
  dtypeConfigs: readonly DTypeConfig[] = [];
  /** The layer that holds the weight. */
  rootModule: string | null = null;
  qatModule: string | null = null;
  referenceQuantizedModule: string | null = null;
  /** The unit that the chain is fused to before anything is observed. */
  fusedModule: string | null = null;
  inputTypeToIndex: InputTypeToIndex = {};
  /** Observation by number of tensor operands, where it depends on that (x + 1, x + y). */
  numTensorArgsToObservationType: ReadonlyMap<number, ObservationType> | null = null;

  constructor(pattern: GivenPattern) {
    this.pattern = patternOf(pattern);
  }

  /** The pattern as one string; patterns that are equal have equal keys. */
  get key(): string {
    return JSON.stringify(this.pattern);
  }

  setObservationType(type: ObservationType): this {
    this.observationType = type;
    return this;
  }

  setDtypeConfigs(configs: readonly DTypeConfig[]): this {
    this.dtypeConfigs = configs;
    return this;
  }

  addDtypeConfig(config: DTypeConfig): this {
    this.dtypeConfigs = [...this.dtypeConfigs, config];
    return this;
  }

  setRootModule(type: ObjectType): this {
    this.rootModule = objectTypeName(type);
    return this;
  }

  setQatModule(type: ObjectType): this {
    this.qatModule = objectTypeName(type);
    return this;
  }

  setReferenceQuantizedModule(type: ObjectType): this {
    this.referenceQuantizedModule = objectTypeName(type);
    return this;
  }

  setFusedModule(type: ObjectType): this {
    this.fusedModule = objectTypeName(type);
    return this;
  }

  setInputTypeToIndex(index: InputTypeToIndex): this {
    this.inputTypeToIndex = index;
    return this;
  }

  setNumTensorArgsToObservationType(types: ReadonlyMap<number, ObservationType>): this {
    this.numTensorArgsToObservationType = types;
    return this;
  }
}

/** A backend: a name and its pattern configs, in the order they were set; a pattern set again is replaced. */
export class BackendConfig {
  readonly name: string;
  private readonly byKey = new Map<string, BackendPatternConfig>();

  constructor(name = "") {
    this.name = name;
  }

  get configs(): readonly BackendPatternConfig[] {
    return [...this.byKey.values()];
  }

  /** @throws ArgumentError for a pattern without elements. */
  setBackendPatternConfig(config: BackendPatternConfig): this {
    if (config.pattern.length === 0)
      throw new ArgumentError("BackendConfig", { name: this.name }, "a pattern must have at least one element");
    this.byKey.set(config.key, config);
    return this;
  }

  setBackendPatternConfigs(configs: readonly BackendPatternConfig[]): this {
    for (const config of configs) this.setBackendPatternConfig(config);
    return this;
  }
}
