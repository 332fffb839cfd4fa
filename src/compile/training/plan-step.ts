/**
 * From a captured step to a plan that runs: the graph's nodes, then the new values of parameters and buffers.
 */

import type { Engine } from "../../engine/engine.ts";
import type { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import type { SteppedOptimizer } from "../../optim/optimizer.ts";
import { numel } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Parameter } from "../../tensor/tensor.ts";
import { emitInput, emitNode } from "../build.ts";
import type { BuildOptions, Exchange } from "../build.ts";
import { convertForm } from "../convert.ts";
import { bindPlan } from "../bind.ts";
import { PlanBuilder } from "../plan.ts";
import type { Buffer, Home } from "../buffer.ts";
import type { BoundPlan } from "../bind.ts";
import type { Place, StepSpec } from "../plan.ts";
import { load } from "../transfer.ts";
import type { CapturedStep } from "./capture-step.ts";
import { addOptimizerStep } from "./optimizer-step.ts";
import { observerRule } from "../steps/observe.ts";
import { trainingRuleOf } from "./rules/index.ts";
import type { VariableStore } from "./variables.ts";

/** Operators on this many numbers run on the JavaScript heap when there is no kernel: copying costs nothing there. */
const SMALL = 4096;

function isSmall(node: Node): boolean {
  const types = [...node.inputs, ...node.outputs].map(({ type }) => type);
  return node.kind === "operator" && types.every((type) => type !== null && numel(type.shape) <= SMALL);
}

/** The stored tensors that belong to the model, and where each lives: parameters in the engine, buffers on the host. */
function variablesOf(graph: Graph, modelTensors: ReadonlySet<Tensor>, store: VariableStore): Map<string, Home> {
  const homes = new Map<string, Home>();
  for (const [name, tensor] of graph.attributes) {
    if (tensor instanceof Parameter && tensor.dtype === "float32")
      homes.set(name, { kind: "memory", address: store.addressOf(tensor) });
    else if (modelTensors.has(tensor) || tensor instanceof Parameter || graph.updates.has(name))
      homes.set(name, { kind: "host", tensor });
  }
  return homes;
}

export class StepPlan {
  readonly bound: BoundPlan;
  /** Parameters whose values must be in the engine before a run. */
  readonly parameters: readonly Parameter[];
  private readonly exchange: Exchange;
  private readonly results: readonly (() => Tensor)[];
  private readonly updates: readonly (() => void)[];

  constructor(
    bound: BoundPlan,
    parameters: readonly Parameter[],
    exchange: Exchange,
    results: readonly (() => Tensor)[],
    updates: readonly (() => void)[],
  ) {
    this.bound = bound;
    this.parameters = parameters;
    this.exchange = exchange;
    this.results = results;
    this.updates = updates;
  }

  get specs(): readonly StepSpec[] {
    return this.bound.steps.map(({ spec }) => spec);
  }

  /** Runs all steps; `timed` is told how long each took, in milliseconds. */
  run(inputs: readonly Tensor[], timed?: (step: number, milliseconds: number) => void): void {
    this.exchange.inputs = inputs;
    this.bound.steps.forEach(({ run }, i) => {
      const started = timed ? performance.now() : 0;
      run();
      timed?.(i, performance.now() - started);
    });
    for (const update of this.updates) update();
    this.exchange.inputs = [];
  }

  /** The loss (0) or one of the model's outputs (1, ...) of the last run, read now. */
  result(index: number): Tensor {
    return this.results[index]!();
  }

  dispose(): void {
    this.bound.dispose();
  }
}

/** Keeps a value until the end of the run; reads it when asked. */
function addResult(plan: PlanBuilder, value: Argument, node: Node): (place: Place) => () => Tensor {
  const stored = plan.constant(value);
  if (stored) return () => () => stored;
  const buffer = plan.read(value, node, { kind: "anywhere" });
  plan.copy({
    node,
    kernel: "result",
    reads: [buffer],
    writes: [],
    bind: () => () => undefined,
  });
  return (place) => reader(plan, place, buffer);
}

function reader(plan: PlanBuilder, place: Place, buffer: Buffer): () => Tensor {
  if (buffer.element === "host") {
    const slot = place.host(buffer);
    return () => slot.tensor!;
  }
  const address = place.at(buffer);
  return () => load(place.engine, buffer, address, plan.flip);
}

/** New values of parameters that forward itself assigns, before the optimizer changes them. */
function addAssignment(plan: PlanBuilder, stored: Value, value: Argument, node: Node): void {
  const source = plan.read(value, node, { kind: "flat" });
  const target = plan.read(stored, node, { kind: "flat" });
  if (source !== target) plan.change(node, source, target);
}

/** @throws EngineError for operators without a kernel when they may not fall back, or when memory cannot be had. */
export function planStep(
  step: CapturedStep,
  inputs: readonly Tensor[],
  engine: Engine,
  options: Omit<BuildOptions, "moduleRule"> & { readonly modelTensors: ReadonlySet<Tensor> },
  optimizer: SteppedOptimizer,
  store: VariableStore,
): StepPlan {
  const { graph } = step;
  const variables = variablesOf(graph, options.modelTensors, store);
  const plan = new PlanBuilder(graph, engine, {
    ruleOf: trainingRuleOf,
    moduleRule: observerRule,
    convert: convertForm,
    allowWinograd: options.allowWinograd,
    variables,
  });
  const exchange: Exchange = { inputs: [], outputs: [], wantsResults: true };
  let nextInput = 0;
  for (const node of graph.nodes) {
    if (node.kind === "input") emitInput(plan, node, nextInput++, exchange);
    else if (node.kind !== "attribute" && !plan.absorbed.has(node))
      emitNode(
        plan,
        node,
        node.kind === "module" ? observerRule : trainingRuleOf(node),
        isSmall(node) ? "reference" : options.fallback,
      );
  }
  const last = graph.nodes.at(-1)!;
  const results = graph.outputs.slice(0, 1 + step.outputs).map((value) => addResult(plan, value, last));
  const updates: ((place: Place) => () => void)[] = [];
  for (const [name, value] of graph.updates) {
    const tensor = graph.attributes.get(name)!;
    if (variables.get(name)?.kind === "memory") addAssignment(plan, graph.attribute(name, tensor), value, last);
    else {
      const read = addResult(plan, value, last);
      updates.push((place) => {
        const current = read(place);
        return () => tensor.assign(current());
      });
    }
  }
  const gradients = graph.outputs.slice(1 + step.outputs).map((value) => plan.read(value, last, { kind: "flat" }));
  addOptimizerStep(plan, last, optimizer, store, new Map(step.trained.map((p, i) => [p, gradients[i]!])));
  const bound = bindPlan(plan);
  const parameters = [...graph.attributes.values()].filter(
    (tensor): tensor is Parameter => tensor instanceof Parameter && tensor.dtype === "float32",
  );
  return new StepPlan(
    bound,
    parameters,
    exchange,
    results.map((result) => result(bound.place)),
    updates.map((update) => update(bound.place)),
  );
}
