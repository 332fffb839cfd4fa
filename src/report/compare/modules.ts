/**
 * Layers of eager models, seen while the models run: units by their path, and each operation of a FloatFunctional.
 */

import type { AnyModule } from "../../nn/module.ts";
import { Identity } from "../../nn/linear.ts";
import { FXFloatFunctional, FloatFunctional } from "../../nn/float-functional.ts";
import type { FunctionalOperations } from "../../nn/float-functional.ts";
import { QFunctional } from "../../nn/quantized/functional-modules.ts";
import { outermostUnits } from "../../doctor/analysis/units.ts";
import { firstTensor } from "../../quantization/suite/loggers.ts";
import { noGrad } from "../../tensor/context.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { gridOfModule, gridOfTensor, real, realTree } from "./grid.ts";
import type { Comparator, Progress } from "./rows.ts";

const OPERATIONS: readonly (keyof FunctionalOperations)[] = [
  "add",
  "addRelu",
  "addScalar",
  "mul",
  "mulScalar",
  "cat",
  "matmul",
];

type Run = (...args: readonly unknown[]) => unknown;

/** One call of a layer. */
interface Call {
  readonly args: readonly unknown[];
  readonly output: Tensor;
}

/** A layer as a row: a unit, or one operation of a functional. */
interface Layer {
  readonly path: string;
  readonly operation: keyof FunctionalOperations | null;
  readonly module: AnyModule;
  readonly run: Run;
}

type Listener = (key: string, call: Call) => void;

function keyOf(path: string, operation: string | null): string {
  return operation === null ? path : `${path}:${operation}`;
}

function isFunctional(module: AnyModule): module is AnyModule & FunctionalOperations {
  return module instanceof FloatFunctional || module instanceof FXFloatFunctional || module instanceof QFunctional;
}

/** The output as one tensor; null for what gives none. Of recurrent layers the first counts. */
function tensorOf(output: unknown): Tensor | null {
  const first: unknown = firstTensor(output);
  return first instanceof Tensor ? first : null;
}

/** A copy of a model that tells of every call. */
class WatchedModel {
  readonly layers = new Map<string, Layer>();
  private readonly model: AnyModule;
  private listener: Listener | null = null;

  constructor(model: AnyModule) {
    this.model = model.clone().eval();
    for (const [path, unit] of outermostUnits(this.model)) {
      if (isFunctional(unit)) this.watchFunctional(path, unit);
      else this.watchUnit(path, unit);
    }
  }

  run(inputs: readonly unknown[], listener: Listener): void {
    this.listener = listener;
    try {
      noGrad(() => (this.model as unknown as { forward: Run }).forward(...inputs));
    } finally {
      this.listener = null;
    }
  }

  private tell(key: string, args: readonly unknown[], output: unknown): void {
    const tensor = tensorOf(output);
    if (tensor) this.listener?.(key, { args, output: tensor });
  }

  private watchUnit(path: string, module: AnyModule): void {
    const run: Run = (...args) => (module as unknown as { forward: Run }).forward(...args);
    this.layers.set(path, { path, operation: null, module, run });
    module.registerForwardHook((_module, args, output) => this.tell(path, args, output));
  }

  private watchFunctional(path: string, module: AnyModule & FunctionalOperations): void {
    for (const operation of OPERATIONS) {
      const key = keyOf(path, operation);
      const original = module[operation].bind(module) as Run;
      const value: Run = (...args) => {
        const output = original(...args);
        this.tell(key, args, output);
        return output;
      };
      this.layers.set(key, { path, operation, module, run: original });
      Object.defineProperty(module, operation, { value, configurable: true });
    }
  }
}

/** The float layer on what the quantized one got; null when it does not take that. */
function rerun({ run }: Layer, args: readonly unknown[]): Tensor | null {
  try {
    return tensorOf(noGrad(() => run(...args.map(realTree))));
  } catch {
    return null;
  }
}

/**
 * Where a quantized model is fused and the float one is not: layers of these paths do different things in the two.
 * Both the layer the others were fused into and what they left behind are concerned.
 */
function fusedInOneOnly(float: AnyModule, quantized: AnyModule): Map<string, string> {
  const floats = new Map(float.namedModules());
  const reasons = new Map<string, string>();
  for (const [path, module] of quantized.namedModules()) {
    const owner = module instanceof Identity ? module.fusedInto : undefined;
    const own = floats.get(path);
    if (owner === undefined || !own || own instanceof Identity) continue;
    const reason = `"${path}" is fused into "${owner}" in the quantized model only: fuse the float model alike`;
    reasons.set(path, reason).set(owner, reason);
  }
  return reasons;
}

function functionalName({ module, operation }: Layer): string {
  return operation === null ? module.constructor.name : `${module.constructor.name}.${operation}`;
}

/** Compares two eager models of one structure. */
export class ModuleComparator implements Comparator {
  private readonly float: WatchedModel;
  private readonly quantized: WatchedModel;
  private readonly unlike: ReadonlyMap<string, string>;

  constructor(float: AnyModule, quantized: AnyModule) {
    this.float = new WatchedModel(float);
    this.quantized = new WatchedModel(quantized);
    this.unlike = fusedInOneOnly(float, quantized);
  }

  addBatch(inputs: readonly unknown[], progress: Progress): void {
    const seen = new Map<string, Call[]>();
    this.float.run(inputs, (key, call) => {
      seen.set(key, [...(seen.get(key) ?? []), call]);
      const layer = this.float.layers.get(key)!;
      const reason = this.unlike.get(layer.path);
      const row = { key, path: layer.path, className: functionalName(layer) };
      if (reason === undefined) progress.expect(row);
      else progress.skip(row, reason);
    });
    this.quantized.run(inputs, (key, call) => {
      const mate = seen.get(key)?.shift();
      const layer = this.float.layers.get(key);
      if (!mate || !layer || this.unlike.has(layer.path)) return;
      const { module } = this.quantized.layers.get(key)!;
      const watcher = (module as { activationPostProcess?: AnyModule }).activationPostProcess;
      const grid = gridOfTensor(call.output) ?? gridOfModule(watcher);
      const alone = rerun(layer, call.args);
      progress.add(key, module.constructor.name, real(mate.output), real(call.output), alone && real(alone), grid);
    });
  }
}
