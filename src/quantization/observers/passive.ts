/**
 * Observers that take no statistics: they carry settings to `convert`, stand for fixed parameters, mark a place, or
 * record tensors for people to look at. Source: torch/ao/quantization/observer.py.
 */

import { ArgumentError, QuantError } from "../../errors.ts";
import { EPS } from "../../ops/quantize/numerics.ts";
import { tensor } from "../../tensor/create.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { QScheme } from "../../tensor/qparams.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ObserverBase } from "./base.ts";
import type { CalculatedQParams } from "./base.ts";

export interface FixedQParamsOptions {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly dtype?: DType;
  readonly qscheme?: QScheme;
  readonly quantMin?: number;
  readonly quantMax?: number;
  readonly isDynamic?: boolean;
}

/** Parameters known in advance. State: scale [1] float32, zero_point [1] int32. */
export class FixedQParamsObserver extends ObserverBase {
  static override readonly stateNames = { zeroPoint: "zero_point" };
  readonly qscheme: QScheme;
  readonly quantMin: number;
  readonly quantMax: number;
  scale: Tensor;
  zeroPoint: Tensor;

  /** @throws ArgumentError for isDynamic, or without scale and zeroPoint. */
  constructor(options: FixedQParamsOptions) {
    const { scale, zeroPoint, dtype = "quint8", isDynamic = false } = options;
    super(dtype, isDynamic);
    if (isDynamic) throw new ArgumentError("FixedQParamsObserver", { isDynamic }, "this observer cannot be dynamic");
    if (!Number.isFinite(scale) || !Number.isFinite(zeroPoint)) {
      throw new ArgumentError("FixedQParamsObserver", { scale, zeroPoint }, "scale and zeroPoint must be given");
    }
    this.qscheme = options.qscheme ?? "per_tensor_affine";
    this.quantMin = options.quantMin ?? 0;
    this.quantMax = options.quantMax ?? 255;
    this.scale = tensor([scale]);
    this.zeroPoint = tensor([zeroPoint], { dtype: "int32" });
  }

  override observe(_x: Tensor): void {}

  override calculateQParams(): CalculatedQParams {
    return { scale: this.scale, zeroPoint: this.zeroPoint, observed: true };
  }
}

/** Base of observers that have no parameters to give. */
abstract class SettingsObserver extends ObserverBase {
  override observe(_x: Tensor): void {}

  /** @throws QuantError always. */
  override calculateQParams(): CalculatedQParams {
    throw new QuantError(
      "calculateQParams",
      { observer: this.constructor.name },
      "this observer has no quantization parameters",
    );
  }
}

export interface PlaceholderOptions {
  readonly dtype?: DType;
  readonly customOpName?: string;
  /** Deprecated in PyTorch, where it has no effect either. */
  readonly computeDtype?: DType | null;
  readonly quantMin?: number | null;
  readonly quantMax?: number | null;
  readonly qscheme?: QScheme | null;
  readonly eps?: number | null;
  readonly isDynamic?: boolean;
}

/** Carries settings only: float16, and dynamic quantization, whose ranges are taken at run time. */
export class PlaceholderObserver extends SettingsObserver {
  readonly qscheme: QScheme;
  readonly quantMin: number | null;
  readonly quantMax: number | null;
  readonly eps: number;
  readonly customOp: string;

  constructor(options: PlaceholderOptions = {}) {
    super(options.dtype ?? "float32", options.isDynamic ?? false);
    this.qscheme = options.qscheme ?? "per_tensor_affine";
    this.quantMin = options.quantMin ?? null;
    this.quantMax = options.quantMax ?? null;
    this.eps = options.eps ?? EPS;
    this.customOp = options.customOpName ?? "";
  }
}

export interface NoopOptions {
  readonly dtype?: DType;
  readonly customOpName?: string;
}

/** Does nothing, and carries a dtype. */
export class NoopObserver extends SettingsObserver {
  readonly customOp: string;

  constructor(options: NoopOptions = {}) {
    super(options.dtype ?? "float16", false);
    this.customOp = options.customOpName ?? "";
  }
}

export interface RecordingOptions {
  readonly dtype?: DType;
}

/** Keeps a copy of every tensor, for debugging: the one observer that keeps data. Nothing of it is saved. */
export class RecordingObserver extends SettingsObserver {
  private readonly recorded: Tensor[] = [];

  constructor(options: RecordingOptions = {}) {
    super(options.dtype ?? "quint8", false);
  }

  override observe(x: Tensor): void {
    this.recorded.push(x.copy());
    this.countBatch();
  }

  /** The tensors seen, in order. */
  getTensorValue(): readonly Tensor[] {
    return this.recorded;
  }

  protected override mergeStatistics(other: this): void {
    this.recorded.push(...other.recorded);
  }
}

/** Marks an operator whose output has the quantization parameters of its input. */
export class ReuseInputObserver extends SettingsObserver {
  constructor(_options: Readonly<Record<string, never>> = {}) {
    super("quint8", false);
  }
}
