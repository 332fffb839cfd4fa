/**
 * Training steps compiled whole: forward, loss, backward and the optimizer's update run in the engine's memory, where
 * parameters and the optimizer's state stay from step to step. Float models and models with fake quantization.
 *
 *     const step = compileTrainingStep(model, { loss: crossEntropy, optimizer: new SGD(model.parameters(), { lr: 0.1 }) });
 *     for (const [images, labels] of loader) console.log(step.run(images, labels).loss);
 */

import type { Engine } from "../../engine/engine.ts";
import { defaultEngine } from "../../engine/engine.ts";
import { ArgumentError, EngineError } from "../../errors.ts";
import { unflattenTree } from "../../graph/tree.ts";
import type { AnyModule } from "../../nn/module.ts";
import type { SteppedOptimizer } from "../../optim/optimizer.ts";
import { FakeQuantizeBase } from "../../quantization/fake-quantize/base.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Parameter } from "../../tensor/tensor.ts";
import { explainSteps } from "../executable.ts";
import type { CompileOptions, Explanation } from "../executable.ts";
import { captureStep } from "./capture-step.ts";
import type { CapturedStep } from "./capture-step.ts";
import { planStep } from "./plan-step.ts";
import type { StepPlan } from "./plan-step.ts";
import { sizeState } from "./size-state.ts";
import { VariableStore } from "./variables.ts";

/** One tensor, or several: the arguments of forward, or the targets of the loss. */
export type Batch = Tensor | readonly Tensor[];

export interface TrainingStepOptions<Output = Tensor, Target = Tensor> extends CompileOptions {
  /** From the model's output and the targets to one number, such as `crossEntropy`. */
  readonly loss: (output: Output, target: Target, ...moreTargets: never[]) => Tensor;
  /** Changes the model's parameters. Its groups are read at each step, so learning-rate schedules work as always. */
  readonly optimizer: SteppedOptimizer;
  /** Inputs and targets to compile for at once, instead of at the first step. */
  readonly exampleInputs?: readonly [inputs: Batch, targets: Batch];
  /**
   * What to do with operators the engine has no kernel for: run their reference (default), or refuse. Operators on a few
   * numbers, as a loss has, always may.
   */
  readonly fallback?: "error" | "reference";
}

export interface TrainingResult {
  readonly loss: number;
  /** What the model's forward returned. Read it before the next step, which overwrites it. */
  readonly output: unknown;
}

interface Specialised {
  readonly captured: CapturedStep;
  readonly plan: StepPlan;
}

const DEFAULT_MAX_PLANS = 4;

function listOf(batch: Batch): readonly Tensor[] {
  return batch instanceof Tensor ? [batch] : batch;
}

export class TrainingStep {
  readonly engine: Engine;
  private readonly model: AnyModule;
  private readonly optimizer: SteppedOptimizer;
  private readonly options: TrainingStepOptions<never, never>;
  private readonly store: VariableStore;
  private readonly plans = new Map<string, Specialised>();
  /** Own tensors of all modules when the plans were made; others mean that plans must be made anew. */
  private tensors: readonly Tensor[] = [];
  private readonly modules: readonly AnyModule[];
  private runs = 0;
  private disposed = false;

  /** Use `compileTrainingStep`. */
  constructor(model: AnyModule, options: TrainingStepOptions<never, never>) {
    this.engine = options.engine ?? defaultEngine();
    this.model = model;
    this.modules = model.modules();
    this.optimizer = options.optimizer;
    this.options = options;
    this.store = new VariableStore(this.engine);
    if (options.exampleInputs) this.planFor(...this.batches(...options.exampleInputs));
  }

  /**
   * One step on a batch: new parameters, buffers and optimizer state, and the loss before the update. Other batch sizes,
   * `train`, `eval` and the switches of fake quantization are noticed; a plan is made for each combination.
   * @throws ArgumentError when the model is in eval mode or the loss is not one number; ShapeError and DtypeError of
   * operators for inputs that do not fit; EngineError when disposed, out of memory, or without a kernel.
   */
  run(inputs: Batch, targets: Batch): TrainingResult {
    const [xs, ts] = this.batches(inputs, targets);
    const { captured, plan } = this.planFor(xs, ts);
    for (const parameter of plan.parameters) this.store.borrow(parameter);
    plan.run([...xs, ...ts]);
    return this.resultOf(captured, plan, ++this.runs);
  }

  /** What each step is and how long it takes. The steps timed are real ones: they train. */
  explain(inputs: Batch, targets: Batch, { repeats = 5 } = {}): Explanation {
    const [xs, ts] = this.batches(inputs, targets);
    const { plan } = this.planFor(xs, ts);
    const samples = plan.specs.map((): number[] => []);
    for (let i = 0; i < repeats; i++) {
      for (const parameter of plan.parameters) this.store.borrow(parameter);
      plan.run([...xs, ...ts], (step, milliseconds) => samples[step]!.push(milliseconds * 1000));
      this.runs++;
    }
    return explainSteps(plan.specs, samples, plan.bound);
  }

  /**
   * Brings all values back into the model's tensors and the optimizer's state. Reading any of them does the same for
   * that one, so this is only needed for typed arrays that were taken out before (`parameter.data`).
   */
  sync(): void {
    this.store.returnAll();
  }

  /** Brings all values back and frees everything; the step cannot run afterwards. */
  dispose(): void {
    this.disposed = true;
    this.dropPlans();
    this.store.dispose();
  }

  private batches(inputs: Batch, targets: Batch): readonly [readonly Tensor[], readonly Tensor[]] {
    if (this.disposed) throw new EngineError("TrainingStep", {}, "it was disposed of and cannot run any more");
    if (!this.model.training) {
      throw new ArgumentError(
        "TrainingStep.run",
        { module: this.model.constructor.name },
        "the module is in eval mode",
        "Call train() on it first; parts of it may stay in eval mode",
      );
    }
    return [listOf(inputs), listOf(targets)];
  }

  private resultOf({ outputs, outputTree }: CapturedStep, plan: StepPlan, run: number): TrainingResult {
    const read = (): unknown => {
      if (run === this.runs && !this.disposed) {
        const leaves = Array.from({ length: outputs }, (_, i) => plan.result(1 + i));
        return unflattenTree(outputTree, leaves);
      }
      throw new EngineError(
        "TrainingResult.output",
        { run, last: this.runs },
        "a later step has overwritten the output",
      );
    };
    return {
      loss: plan.result(0).item(),
      get output(): unknown {
        return read();
      },
    };
  }

  private planFor(inputs: readonly Tensor[], targets: readonly Tensor[]): Specialised {
    this.checkTensors();
    const types = [...inputs, ...targets].map(({ dtype, shape }) => `${dtype}[${shape.join()}]`);
    const key = `${inputs.length} ${types.join()} ${this.switches()}`;
    const known = this.plans.get(key);
    if (known) {
      this.plans.delete(key);
      this.plans.set(key, known);
      return known;
    }
    const oldest = this.plans.size >= (this.options.maxPlans ?? DEFAULT_MAX_PLANS) ? [...this.plans][0] : undefined;
    if (oldest) {
      oldest[1].plan.dispose();
      this.plans.delete(oldest[0]);
    }
    const made = this.specialise(inputs, targets);
    this.plans.set(key, made);
    return made;
  }

  private specialise(inputs: readonly Tensor[], targets: readonly Tensor[]): Specialised {
    const { model, engine, optimizer, options, store } = this;
    sizeState(model, inputs);
    this.tensors = this.ownTensors();
    const parameters: readonly Parameter[] = optimizer.paramGroups
      .flatMap(({ params }) => params)
      .filter(({ requiresGrad }) => requiresGrad);
    const captured = captureStep(model, options.loss, parameters, inputs, targets);
    const build = {
      allowWinograd: options.allowWinograd ?? true,
      fallback: options.fallback ?? "reference",
      modelTensors: new Set(this.tensors),
    };
    return { captured, plan: planStep(captured, [...inputs, ...targets], engine, build, optimizer, store) };
  }

  private ownTensors(): Tensor[] {
    return this.modules.flatMap((module) => module.ownTensors().map(([, tensor]) => tensor));
  }

  /** Tensors that took the place of others (a state dict of other shapes, a reset observer) make plans useless. */
  private checkTensors(): void {
    if (this.plans.size === 0) return;
    const now = this.ownTensors();
    if (now.length === this.tensors.length && now.every((tensor, i) => tensor === this.tensors[i])) return;
    this.dropPlans();
  }

  private dropPlans(): void {
    for (const { plan } of this.plans.values()) plan.dispose();
    this.plans.clear();
  }

  /** Everything that decides which way forward and backward take: modes, switches, and which parameters are trained. */
  private switches(): string {
    const modes = this.modules.map(
      (module) => (module.training ? "t" : "e") + (module instanceof FakeQuantizeBase ? module.switches : ""),
    );
    const trained = this.optimizer.paramGroups.flatMap(({ params }) => params.map((p) => (p.requiresGrad ? 1 : 0)));
    return [...modes, ...trained].join("");
  }
}

/**
 * Compiles one training step of a model: forward, loss, backward and update as one plan, for each batch size on first use.
 *
 * Parameters, buffers (running statistics, observers) and the optimizer's state are what they are after eager steps, up to
 * the rounding of float sums; observers and fake quantization take the same decisions given the same values. Between two
 * steps everything may be read and changed as always: `stateDict`, `eval`, `convert`, `optimizer.state()`.
 * @throws as `TrainingStep.run`, for exampleInputs.
 */
export function compileTrainingStep<Output = Tensor, Target = Tensor>(
  model: AnyModule,
  options: TrainingStepOptions<Output, Target>,
): TrainingStep {
  return new TrainingStep(model, options);
}
