/**
 * Quantization specs: what a quantizer wants of one value or of one edge. Frozen values, one class a kind.
 * Source: torchao/quantization/pt2e/quantizer/quantizer.py.
 */

import { ArgumentError } from "../../errors.ts";
import type { Node, Value } from "../../graph/graph.ts";
import { dtypeInfo } from "../../tensor/dtype.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import type { CalculatedQParams, ObserverBase } from "../observers/base.ts";
import type { FactoryLike } from "../factory.ts";

/** An input edge `[value, the node that reads it]`, or an output: the value itself. */
export type EdgeOrNode = readonly [value: Value, reader: Node] | Value;

/** What every kind may say of the integers. */
export interface SpecRange {
  readonly dtype: DType;
  readonly quantMin?: number | null;
  readonly quantMax?: number | null;
  readonly qscheme?: QScheme | null;
}

/** @throws ArgumentError when quantMin exceeds quantMax, or the range exceeds the dtype. */
function checkRange(where: string, { dtype, quantMin, quantMax }: SpecRange): void {
  if (quantMin === undefined || quantMax === undefined || quantMin === null || quantMax === null) return;
  const { kind, min, max } = dtypeInfo[dtype];
  const within = kind === "float" || (quantMin >= min && quantMax <= max);
  if (quantMin <= quantMax && within) return;
  throw new ArgumentError(where, { quantMin, quantMax, dtype }, "quantMin..quantMax must be a range within the dtype");
}

export interface QuantizationSpecFields extends SpecRange {
  /** Makes the observer or fake-quantize; the other fields are handed to it. */
  readonly observerOrFakeQuantCtr: FactoryLike;
  readonly chAxis?: number | null;
  readonly isDynamic?: boolean;
}

/** A value observed by an observer or fake-quantize of its own. */
export class QuantizationSpec {
  readonly kind = "observed";
  readonly dtype: DType;
  readonly observerOrFakeQuantCtr: FactoryLike;
  readonly quantMin: number | null;
  readonly quantMax: number | null;
  readonly qscheme: QScheme | null;
  readonly chAxis: number | null;
  readonly isDynamic: boolean;

  /** @throws ArgumentError for an illegal range or a negative axis. */
  constructor(fields: QuantizationSpecFields) {
    checkRange("QuantizationSpec", fields);
    const { chAxis = null } = fields;
    if (chAxis !== null && !(Number.isInteger(chAxis) && chAxis >= 0)) {
      throw new ArgumentError("QuantizationSpec", { chAxis }, "chAxis must be an axis counted from 0");
    }
    this.dtype = fields.dtype;
    this.observerOrFakeQuantCtr = fields.observerOrFakeQuantCtr;
    this.quantMin = fields.quantMin ?? null;
    this.quantMax = fields.quantMax ?? null;
    this.qscheme = fields.qscheme ?? null;
    this.chAxis = chAxis;
    this.isDynamic = fields.isDynamic ?? false;
    Object.freeze(this);
  }
}

export interface FixedQParamsSpecFields extends SpecRange {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly isDynamic?: boolean;
}

/** A value whose parameters are known in advance. */
export class FixedQParamsQuantizationSpec {
  readonly kind = "fixed";
  readonly dtype: DType;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly quantMin: number | null;
  readonly quantMax: number | null;
  readonly qscheme: QScheme | null;
  readonly isDynamic: boolean;

  /** @throws ArgumentError for an illegal range, a scale that is not positive, or a zero point outside the range. */
  constructor(fields: FixedQParamsSpecFields) {
    checkRange("FixedQParamsQuantizationSpec", fields);
    const { scale, zeroPoint, dtype } = fields;
    const low = fields.quantMin ?? dtypeInfo[dtype].min;
    const high = fields.quantMax ?? dtypeInfo[dtype].max;
    if (!(scale > 0) || !(zeroPoint >= low && zeroPoint <= high)) {
      throw new ArgumentError(
        "FixedQParamsQuantizationSpec",
        { scale, zeroPoint, dtype },
        "scale must be positive and zeroPoint an integer of the range",
      );
    }
    this.dtype = dtype;
    this.scale = scale;
    this.zeroPoint = zeroPoint;
    this.quantMin = fields.quantMin ?? null;
    this.quantMax = fields.quantMax ?? null;
    this.qscheme = fields.qscheme ?? null;
    this.isDynamic = fields.isDynamic ?? false;
    Object.freeze(this);
  }
}

/** The same observer, and so the same parameters, as another edge or output. */
export class SharedQuantizationSpec {
  readonly kind = "shared";
  readonly edgeOrNode: EdgeOrNode;

  constructor(edgeOrNode: EdgeOrNode) {
    this.edgeOrNode = edgeOrNode;
    Object.freeze(this);
  }
}

/** Parameters from those of other observers: [scales], [zero points]. */
export type DeriveQParams = (observers: readonly ObserverBase[]) => Pick<CalculatedQParams, "scale" | "zeroPoint">;

export interface DerivedSpecFields extends SpecRange {
  readonly derivedFrom: readonly EdgeOrNode[];
  readonly deriveQParamsFn: DeriveQParams;
  readonly chAxis?: number | null;
}

/** Parameters computed from other edges' (a bias: activation scale times weight scale). */
export class DerivedQuantizationSpec {
  readonly kind = "derived";
  readonly derivedFrom: readonly EdgeOrNode[];
  readonly deriveQParamsFn: DeriveQParams;
  readonly dtype: DType;
  readonly quantMin: number | null;
  readonly quantMax: number | null;
  readonly qscheme: QScheme | null;
  readonly chAxis: number | null;

  /** @throws ArgumentError for an illegal range. */
  constructor(fields: DerivedSpecFields) {
    checkRange("DerivedQuantizationSpec", fields);
    this.derivedFrom = fields.derivedFrom;
    this.deriveQParamsFn = fields.deriveQParamsFn;
    this.dtype = fields.dtype;
    this.quantMin = fields.quantMin ?? null;
    this.quantMax = fields.quantMax ?? null;
    this.qscheme = fields.qscheme ?? null;
    this.chAxis = fields.chAxis ?? null;
    Object.freeze(this);
  }
}

export type QSpec = QuantizationSpec | FixedQParamsQuantizationSpec | SharedQuantizationSpec | DerivedQuantizationSpec;
