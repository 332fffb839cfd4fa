/**
 * Shadows: the float module runs beside the quantized one on the same input, so that a difference is that module's own.
 * Source: torch/ao/ns/_numeric_suite.py.
 */

import type { FunctionalOperations } from "../../nn/float-functional.ts";
import { Module } from "../../nn/module.ts";
import type { AnyModule } from "../../nn/module.ts";
import { dequantize } from "../../ops/quantize/native.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { classOf } from "../eager/types.ts";
import type { ModuleClass } from "../eager/types.ts";
import { ShadowLogger, getLoggerDict } from "./loggers.ts";
import type { LoggerClass, LoggerDict } from "./loggers.ts";

/** A logger of pairs: quantized first, then float. */
export type PairLogger = Module<[unknown, unknown], unknown>;

function toFloat(value: unknown): unknown {
  if (Array.isArray(value)) return (value as readonly unknown[]).map(toFloat);
  return value instanceof Tensor && value.isQuantized ? dequantize(value) : value;
}

/** Gives the quantized module's result; its logger gets that and the float module's for the dequantized input. */
export class Shadow extends Module<unknown[], unknown> implements FunctionalOperations {
  static override readonly stateNames: Readonly<Record<string, string>> = {
    origModule: "orig_module",
    shadowModule: "shadow_module",
  };
  origModule: AnyModule;
  shadowModule: AnyModule;
  logger: PairLogger;

  constructor(qModule: AnyModule, floatModule: AnyModule, loggerClass: LoggerClass<PairLogger> = ShadowLogger) {
    super();
    this.origModule = qModule;
    this.shadowModule = floatModule;
    this.logger = new loggerClass();
    this.train(false);
  }

  forward(...inputs: unknown[]): unknown {
    const output = this.origModule.forward(...(inputs as never[]));
    this.logger.forward(output, this.shadowModule.forward(...(inputs.map(toFloat) as never[])));
    return output;
  }

  add(x: Tensor, y: Tensor): Tensor {
    return this.both("add", [x, y]);
  }

  addRelu(x: Tensor, y: Tensor): Tensor {
    return this.both("addRelu", [x, y]);
  }

  addScalar(x: Tensor, y: number): Tensor {
    return this.both("addScalar", [x, y]);
  }

  mul(x: Tensor, y: Tensor): Tensor {
    return this.both("mul", [x, y]);
  }

  mulScalar(x: Tensor, y: number): Tensor {
    return this.both("mulScalar", [x, y]);
  }

  cat(tensors: readonly Tensor[], dim = 0): Tensor {
    return this.both("cat", [tensors, dim]);
  }

  matmul(x: Tensor, y: Tensor): Tensor {
    return this.both("matmul", [x, y]);
  }

  /** The same operation of both functionals. */
  private both(operation: keyof FunctionalOperations, inputs: readonly unknown[]): Tensor {
    const call = (functional: AnyModule, args: readonly unknown[]): Tensor => {
      const operations = functional as unknown as Record<string, (...given: readonly unknown[]) => Tensor>;
      return operations[operation]!(...args);
    };
    const output = call(this.origModule, inputs);
    this.logger.forward(output, call(this.shadowModule, inputs.map(toFloat)));
    return output;
  }
}

function sameClasses(a: AnyModule, b: AnyModule): boolean {
  const [left, right] = [a.modules().map(classOf), b.modules().map(classOf)];
  return left.length === right.length && left.every((one, i) => one === right[i]);
}

/**
 * Puts Shadows into the quantized model itself, where the float module of the same name is of a class in
 * `moduleSwapList` and was changed by quantization. The float modules are shared, not copied.
 */
export function prepareModelWithStubs(
  floatModel: AnyModule,
  qModel: AnyModule,
  moduleSwapList: ReadonlySet<ModuleClass>,
  loggerClass: LoggerClass<PairLogger> = ShadowLogger,
): void {
  const floats = new Map(floatModel.namedChildren());
  for (const [name, child] of qModel.namedChildren()) {
    const float = floats.get(name);
    if (!float) continue;
    if (!moduleSwapList.has(classOf(float))) prepareModelWithStubs(float, child, moduleSwapList, loggerClass);
    else if (!sameClasses(child, float)) qModel.setChild(name, new Shadow(child, float, loggerClass));
  }
}

export interface CompareStubOptions {
  readonly loggerClass?: LoggerClass<PairLogger>;
}

/**
 * Runs a copy of the quantized model on `data` (the arguments of forward) with float shadows beside the modules whose
 * float class is in `moduleSwapList`: the error each module makes by itself. Keys are paths followed by ".stats"; with
 * the default logger the entries are lists `float` and `quantized`.
 */
export function compareModelStub(
  floatModel: AnyModule,
  qModel: AnyModule,
  moduleSwapList: ReadonlySet<ModuleClass>,
  data: readonly unknown[],
  { loggerClass = ShadowLogger }: CompareStubOptions = {},
): LoggerDict {
  const shadowed = qModel.clone();
  prepareModelWithStubs(floatModel.clone(), shadowed, moduleSwapList, loggerClass);
  shadowed.forward(...(data as never[]));
  return getLoggerDict(shadowed);
}
