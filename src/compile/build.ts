/**
 * From a graph and concrete inputs to a plan that runs: every node's rule adds its steps, then all are bound.
 */

import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../errors.ts";
import { Value, describe } from "../graph/graph.ts";
import type { Graph, Node } from "../graph/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { convertForm } from "./convert.ts";
import { elementOf } from "./form.ts";
import { bindPlan } from "./bind.ts";
import { PlanBuilder } from "./plan.ts";
import type { BoundPlan } from "./bind.ts";
import type { ModuleRule, StepRule, StepSpec } from "./plan.ts";
import { retype } from "./retype.ts";
import { stepRuleOf } from "./steps/index.ts";
import { HOST, givesHostValues } from "./steps/host.ts";
import { emitReference } from "./steps/reference.ts";
import { load, store } from "./transfer.ts";

export interface BuildOptions {
  readonly allowWinograd: boolean;
  readonly fallback: "error" | "reference";
  readonly moduleRule: ModuleRule | null;
}

/** The tensors of the run in progress. */
export interface Exchange {
  inputs: readonly Tensor[];
  readonly outputs: (Tensor | null)[];
  /** Whether anybody takes the graph's results; what it updates is always written. */
  wantsResults: boolean;
}

export interface CompiledPlan {
  readonly specs: readonly StepSpec[];
  readonly arenaBytes: number;
  readonly constantBytes: number;
  run(inputs: readonly Tensor[]): Tensor[];
  /** Runs for its observers and updates alone. */
  observe(inputs: readonly Tensor[]): void;
  /** Microseconds of every step in each of the repeats. */
  time(inputs: readonly Tensor[], repeats: number): number[][];
  dispose(): void;
}

export function emitInput(plan: PlanBuilder, node: Node, index: number, exchange: Exchange): void {
  const value = node.output;
  const type = plan.type(value);
  const wanted = plan.isReadAsImage(value) && elementOf(type.dtype) !== "host" ? "image" : "flat";
  const buffer = plan.write(value, wanted);
  plan.copy({
    node,
    kernel: `input ${wanted}`,
    reads: [],
    writes: [buffer],
    bind({ engine, at, host }) {
      const slot = host(buffer);
      if (buffer.element === "host") return () => (slot.tensor = exchange.inputs[index]!);
      const address = at(buffer);
      return () => store(engine, buffer, address, exchange.inputs[index]!, plan.flip);
    },
  });
}

function emitOutput(plan: PlanBuilder, value: Value, index: number, exchange: Exchange): void {
  const constant = plan.constant(value);
  const node = value.node;
  const buffer = constant ? null : plan.read(value, node, { kind: "anywhere" });
  plan.copy({
    node,
    kernel: "output",
    reads: buffer ? [buffer] : [],
    writes: [],
    bind({ engine, at, host }) {
      if (!buffer) return () => (exchange.outputs[index] = constant);
      if (buffer.element === "host") return () => (exchange.outputs[index] = host(buffer).tensor);
      const address = at(buffer);
      const isResult = index < plan.graph.outputs.length;
      return () => {
        if (isResult && !exchange.wantsResults) return;
        exchange.outputs[index] = load(engine, buffer, address, plan.flip);
      };
    },
  });
}

/** Adds the steps of a node by its rule, or by its reference where that is allowed. @throws EngineError where it is not. */
export function emitNode(
  plan: PlanBuilder,
  node: Node,
  rule: StepRule | undefined,
  fallback: BuildOptions["fallback"],
): void {
  const refusal = rule ? rule.emit(node, plan) : "the engine has no kernel for it";
  if (typeof refusal !== "string") return;
  if (fallback === "reference") return emitReference(plan, node, refusal);
  if (givesHostValues(node)) return emitReference(plan, node, HOST);
  throw new EngineError(
    "compile",
    { operator: node.target, node: describe(node) },
    refusal,
    'Compile with { fallback: "reference" } to run such operators on the reference interpreter',
  );
}

/** Outputs first, then the new values of buffers the graph updates. */
function returnedValues(graph: Graph): Value[] {
  return [...graph.outputs, ...graph.updates.values()].filter((value): value is Value => value instanceof Value);
}

class Plan implements CompiledPlan {
  private readonly bound: BoundPlan;
  private readonly graph: Graph;
  private readonly exchange: Exchange;

  constructor(graph: Graph, bound: BoundPlan, exchange: Exchange) {
    this.graph = graph;
    this.bound = bound;
    this.exchange = exchange;
  }

  get specs(): readonly StepSpec[] {
    return this.bound.steps.map(({ spec }) => spec);
  }

  get arenaBytes(): number {
    return this.bound.arenaBytes;
  }

  get constantBytes(): number {
    return this.bound.constantBytes;
  }

  run(inputs: readonly Tensor[]): Tensor[] {
    this.exchange.inputs = inputs;
    for (const { run } of this.bound.steps) run();
    return this.finish();
  }

  observe(inputs: readonly Tensor[]): void {
    this.exchange.wantsResults = false;
    try {
      this.run(inputs);
    } finally {
      this.exchange.wantsResults = true;
    }
  }

  time(inputs: readonly Tensor[], repeats: number): number[][] {
    const samples = this.bound.steps.map((): number[] => []);
    for (let i = 0; i < repeats; i++) {
      this.exchange.inputs = inputs;
      this.bound.steps.forEach(({ run }, at) => {
        const started = performance.now();
        run();
        samples[at]!.push((performance.now() - started) * 1000);
      });
      this.finish();
    }
    return samples;
  }

  dispose(): void {
    this.bound.dispose();
  }

  private finish(): Tensor[] {
    const returned = this.exchange.outputs as Tensor[];
    const outputs = returned.slice(0, this.graph.outputs.length);
    [...this.graph.updates.keys()].forEach((name, i) =>
      this.graph.attributes.get(name)!.assign(returned[outputs.length + i]!),
    );
    this.exchange.inputs = [];
    return outputs;
  }
}

function ruleOf(node: Node, moduleRule: ModuleRule | null): StepRule | undefined {
  return node.kind === "module" ? (moduleRule ?? undefined) : stepRuleOf(node);
}

/** @throws EngineError for operators without a kernel (unless they may fall back), or when memory cannot be had. */
export function buildPlan(
  source: Graph,
  inputs: readonly Tensor[],
  engine: Engine,
  options: BuildOptions,
): CompiledPlan {
  const { graph } = source.cloneWithMap();
  retype(graph, inputs);
  const plan = new PlanBuilder(graph, engine, {
    ruleOf: stepRuleOf,
    moduleRule: options.moduleRule,
    convert: convertForm,
    allowWinograd: options.allowWinograd,
  });
  const exchange: Exchange = { inputs: [], outputs: [], wantsResults: true };
  let nextInput = 0;
  for (const node of graph.nodes) {
    plan.reach(node);
    if (node.kind === "input") emitInput(plan, node, nextInput++, exchange);
    else if (node.kind !== "attribute" && !plan.absorbed.has(node))
      emitNode(plan, node, ruleOf(node, options.moduleRule), options.fallback);
  }
  returnedValues(graph).forEach((value, i) => emitOutput(plan, value, i, exchange));
  return new Plan(graph, bindPlan(plan), exchange);
}
