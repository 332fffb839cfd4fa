/**
 * Executable: a compiled graph. Shapes are specialised on first use and cached; `run` computes, `explain` tells
 * what each step is, `dispose` gives the memory back.
 */

import type { Engine } from "../engine/engine.ts";
import { defaultEngine } from "../engine/engine.ts";
import { EngineError, ShapeError } from "../errors.ts";
import { describe } from "../graph/graph.ts";
import type { Graph } from "../graph/graph.ts";
import { flattenTree, unflattenTree } from "../graph/tree.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { buildPlan } from "./build.ts";
import type { CompiledPlan } from "./build.ts";
import type { ModuleRule, StepSpec } from "./plan.ts";
import { prepareGraph } from "./prepare.ts";

export interface CompileOptions {
  /** The engine to run on; by default one all operators share. */
  readonly engine?: Engine;
  /** False: 3x3 convolutions are summed directly, for float results that are the same on every machine. */
  readonly allowWinograd?: boolean;
  /** What to do with operators the engine has no kernel for: refuse (default), or run their reference. */
  readonly fallback?: "error" | "reference";
  /** Plans for different input shapes kept at the same time. */
  readonly maxPlans?: number;
}

/** One step of `explain`. */
export interface StepReport {
  /** The graph's value, where it came from, and the operator. */
  readonly node: string;
  readonly kernel: string;
  readonly precision: "int8" | "float" | "copy" | "reference";
  readonly why: string;
  /** Multiplications and additions. */
  readonly operations: number;
  /** Bytes read and written. */
  readonly bytes: number;
  /** Median over the timed runs. */
  readonly microseconds: number;
}

export interface Explanation {
  readonly steps: readonly StepReport[];
  readonly arenaBytes: number;
  readonly constantBytes: number;
  toString(): string;
}

const DEFAULT_MAX_PLANS = 8;

export class Executable {
  readonly engine: Engine;
  private readonly source: Graph;
  private readonly graph: Graph;
  private readonly options: CompileOptions;
  private readonly moduleRule: ModuleRule | null;
  private readonly plans = new Map<string, CompiledPlan>();
  private disposed = false;

  /** `moduleRule`: how observers in the graph are compiled; a finished model has none. */
  constructor(graph: Graph, options: CompileOptions = {}, moduleRule: ModuleRule | null = null) {
    this.moduleRule = moduleRule;
    this.engine = options.engine ?? defaultEngine();
    this.options = options;
    this.source = graph;
    this.graph = prepareGraph(graph);
  }

  /**
   * Runs the graph on tensors (or nested containers of them) of the captured dtypes.
   * @throws ShapeError for inputs that do not fit, EngineError when disposed, out of memory, or without a kernel.
   */
  run(...inputs: unknown[]): unknown {
    const { leaves } = flattenTree(inputs);
    const outputs = this.planFor(leaves).run(leaves);
    const tree = this.source.outputTree;
    return tree ? unflattenTree(tree, outputs) : outputs.length === 1 ? outputs[0] : outputs;
  }

  /** `run` for the observers in the graph alone: results are not copied out. @throws as run. */
  observe(...inputs: unknown[]): void {
    const { leaves } = flattenTree(inputs);
    this.planFor(leaves).observe(leaves);
  }

  /** `run` for graphs that return one tensor. */
  runOne(...inputs: unknown[]): Tensor {
    return flattenTree([this.run(...inputs)]).leaves[0]!;
  }

  /** What each step is and how long it takes, over `repeats` runs on these inputs. */
  explain(inputs: readonly unknown[], { repeats = 5 } = {}): Explanation {
    const { leaves } = flattenTree(inputs);
    const plan = this.planFor(leaves);
    return explainSteps(plan.specs, plan.time(leaves, repeats), plan);
  }

  /** Frees everything; the executable cannot run afterwards. */
  dispose(): void {
    this.disposed = true;
    for (const plan of this.plans.values()) plan.dispose();
    this.plans.clear();
  }

  private planFor(inputs: readonly Tensor[]): CompiledPlan {
    if (this.disposed) throw new EngineError("Executable", {}, "it was disposed of and cannot run any more");
    const key = JSON.stringify(inputs.map(({ dtype, shape, qparams }) => [dtype, shape, qparams]));
    const known = this.plans.get(key);
    if (known) {
      this.plans.delete(key);
      this.plans.set(key, known);
      return known;
    }
    this.checkInputs(inputs);
    const oldest = this.plans.size >= (this.options.maxPlans ?? DEFAULT_MAX_PLANS) ? [...this.plans][0] : undefined;
    if (oldest) {
      oldest[1].dispose();
      this.plans.delete(oldest[0]);
    }
    const plan = buildPlan(this.graph, inputs, this.engine, {
      allowWinograd: this.options.allowWinograd ?? true,
      fallback: this.options.fallback ?? "error",
      moduleRule: this.moduleRule,
    });
    this.plans.set(key, plan);
    return plan;
  }

  private checkInputs(inputs: readonly Tensor[]): void {
    const expected = this.graph.inputs;
    if (inputs.length !== expected.length) {
      throw new ShapeError(
        "Executable.run",
        { tensors: inputs.length, expected: expected.length },
        "needs the number of tensors it was captured with",
      );
    }
    const fixed = this.graph.fixedBatch;
    expected.forEach(({ type, name }, i) => {
      const given = inputs[i]!;
      const fits = type && type.dtype === given.dtype && type.shape.length === given.shape.length;
      const sizes = type?.shape.every((size, axis) => size === given.shape[axis] || (axis === 0 && !fixed));
      if (type && !(fits && sizes)) {
        throw new ShapeError(
          "Executable.run",
          { input: name, given: given.shape, dtype: given.dtype, captured: type.shape, capturedDtype: type.dtype },
          fixed
            ? `the graph only runs for batch size ${fixed.size}: ${fixed.reason}`
            : "an input must have the captured dtype and shape; only axis 0 may differ",
        );
      }
    });
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** The report of steps that took `samples` microseconds each. */
export function explainSteps(
  specs: readonly StepSpec[],
  samples: readonly (readonly number[])[],
  { arenaBytes, constantBytes }: { readonly arenaBytes: number; readonly constantBytes: number },
): Explanation {
  const steps = specs.map((spec, i): StepReport => ({
    node: describe(spec.node),
    kernel: spec.kernel,
    precision: spec.precision,
    why: spec.why,
    operations: spec.operations,
    bytes: [...spec.reads, ...spec.writes].reduce((sum, buffer) => sum + buffer.bytes, 0),
    microseconds: median(samples[i]!),
  }));
  return { steps, arenaBytes, constantBytes, toString: () => printExplanation(steps, arenaBytes, constantBytes) };
}

function printExplanation(steps: readonly StepReport[], arenaBytes: number, constantBytes: number): string {
  const total = steps.reduce((sum, step) => sum + step.microseconds, 0);
  const lines = steps.map((step) => {
    const rate = step.microseconds > 0 ? (step.operations / step.microseconds / 1000).toFixed(1) : "-";
    const cells = [
      step.microseconds.toFixed(1).padStart(9),
      rate.padStart(7),
      step.precision.padEnd(9),
      step.kernel.padEnd(28),
      step.node,
    ];
    return `${cells.join("  ")}${step.why ? `  (${step.why})` : ""}`;
  });
  const head = `${"us".padStart(9)}  ${"Gop/s".padStart(7)}  ${"precision".padEnd(9)}  ${"kernel".padEnd(28)}  node`;
  const foot = `${total.toFixed(1).padStart(9)} us in all; arena ${arenaBytes} bytes, constants ${constantBytes} bytes`;
  return [head, ...lines, foot].join("\n");
}
