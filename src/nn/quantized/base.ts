/**
 * What quantized modules share: the engine they round like, errors that name the module, and state entries that are
 * not plain tensors (an output scale is a number; a quantized weight carries parameters that loading must replace too).
 */

import { DtypeError, ModuleError, ShapeError } from "../../errors.ts";
import { DEFAULT_ENGINE } from "../../ops/quantized/engines.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { scalar } from "../../tensor/create.ts";
import { sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Module } from "../module.ts";
import type { AnyModule } from "../module.ts";

/** Entries of a state dict below one module. */
export type StateEntries = Readonly<Record<string, Tensor>>;

/** "quantized Conv2d at layer1.conv": how errors name a module. */
export function describe(module: AnyModule): string {
  const name = `quantized ${module.constructor.name}`;
  return module.path ? `${name} at "${module.path}"` : name;
}

/**
 * Passes a quantized tensor through.
 * @throws DtypeError for a float tensor, naming the module and the stub that is missing.
 */
export function requireQuantized(module: AnyModule, x: Tensor): Tensor {
  if (x.isQuantized) return x;
  const place = module.path ? `before "${module.path}"` : "before it";
  throw new DtypeError(
    describe(module),
    { dtype: x.dtype, shape: x.shape },
    "got a float tensor where it needs a quantized one",
    `A QuantStub is missing ${place}: in the float model, pass the tensor through a QuantStub there, then prepare, calibrate and convert again`,
  );
}

/** A module that holds numbers and quantized tensors; all its state goes through `extraState`. */
export abstract class QuantizedModule<In extends readonly unknown[] = [Tensor], Out = Tensor> extends Module<In, Out> {
  /** Which engine's rounding the module follows. */
  engine: QEngine = DEFAULT_ENGINE;

  /** Own tensors are no plain buffers: `extraState` lists them. */
  override ownTensors(): [string, Tensor][] {
    return [];
  }

  override extraState(): StateEntries {
    return {};
  }

  override loadExtraState(_state: ReadonlyMap<string, Tensor>): readonly string[] {
    return [];
  }
}

/** A module with output parameters, kept as `scale` and `zero_point` in its state. */
export abstract class QuantizedOutputModule<In extends readonly unknown[] = [Tensor]> extends QuantizedModule<In> {
  scale = 1;
  zeroPoint = 0;

  get output(): { scale: number; zeroPoint: number } {
    return { scale: this.scale, zeroPoint: this.zeroPoint };
  }

  override extraState(): StateEntries {
    return outputState(this.scale, this.zeroPoint);
  }

  override loadExtraState(state: ReadonlyMap<string, Tensor>): readonly string[] {
    this.scale = takeNumber(this, state, "scale");
    this.zeroPoint = takeNumber(this, state, "zero_point");
    return ["scale", "zero_point"];
  }
}

/** Scale and zero point as PyTorch saves them: 0-d, float32 and int64. */
export function outputState(scale: number, zeroPoint: number): StateEntries {
  return { scale: scalar(scale), zero_point: scalar(zeroPoint, "int64") };
}

/** @throws ShapeError unless the entry is one number. */
export function takeNumber(module: AnyModule, state: ReadonlyMap<string, Tensor>, key: string): number {
  const value = state.get(key);
  if (!value) throw new ModuleError(describe(module), { key }, "the state dict must have this key");
  if (value.numel !== 1)
    throw new ShapeError(describe(module), { key, shape: value.shape }, "the entry must be one number");
  return value.item();
}

/**
 * A tensor that takes the place of `own`: same kind of dtype and same shape, with its own quantization parameters.
 * @throws ModuleError, ShapeError, DtypeError naming the key.
 */
export function takeTensor(module: AnyModule, state: ReadonlyMap<string, Tensor>, key: string, own: Tensor): Tensor {
  const value = state.get(key);
  if (!value) throw new ModuleError(describe(module), { key }, "the state dict must have this key");
  if (value.dtype !== own.dtype) {
    throw new DtypeError(describe(module), { key, expected: own.dtype, given: value.dtype }, "dtypes must agree");
  }
  if (!sameShape(value.shape, own.shape)) {
    throw new ShapeError(describe(module), { key, expected: own.shape, given: value.shape }, "shapes must agree");
  }
  return value.copy();
}

/** State entries of a weight and the bias it may have. */
export function weightBiasState({ weight, bias }: WeightBias): StateEntries {
  return { weight, ...(bias && { bias }) };
}

/** Takes a weight and the bias it may have; returns the keys that were read. @throws ModuleError, ShapeError, DtypeError */
export function takeWeightBias(module: AnyModule & WeightBias, state: ReadonlyMap<string, Tensor>): readonly string[] {
  module.weight = takeTensor(module, state, "weight", module.weight);
  if (module.bias) module.bias = takeTensor(module, state, "bias", module.bias);
  return Object.keys(weightBiasState(module));
}

interface WeightBias {
  weight: Tensor;
  bias: Tensor | null;
}
