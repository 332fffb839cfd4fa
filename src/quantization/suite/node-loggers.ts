/**
 * Loggers of graphs: they know which node they stand behind, can be switched off, and can compare instead of keep.
 * Source: OutputLogger and OutputComparisonLogger, torch/ao/ns/_numeric_suite_fx.py.
 */

import type { GraphModule } from "../../graph/graph-module.ts";
import type { Node } from "../../graph/graph.ts";
import { dequantize } from "../../ops/quantize/native.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { SuiteEntry } from "./graph-suite.ts";
import { OutputLogger } from "./loggers.ts";
import { computeSqnr } from "./metrics.ts";

/** What a logger is about. */
export interface LoggedNode {
  /** Key of the results. */
  readonly layer: string;
  readonly model: string;
  readonly node: Node;
  /** The qconfig of a shadow, for the reader. */
  readonly qconfig?: string;
}

export function entryOf(type: SuiteEntry["type"], node: Node, values: Tensor[], qconfig = ""): SuiteEntry {
  return {
    type,
    values,
    ref_node_name: node.outputs[0]!.name,
    ref_node_target_type: node.target,
    fqn: node.source.path,
    ...(qconfig && { qconfig_str: qconfig }),
  };
}

function inFloat(tensor: Tensor): Tensor {
  return tensor.isQuantized ? dequantize(tensor) : tensor.detach();
}

/** Keeps what passes, in float, while it is enabled. */
export class NodeOutputLogger extends OutputLogger {
  readonly layer: string;
  readonly model: string;
  readonly entry: SuiteEntry;
  enabled = true;
  saveActivations = true;

  constructor({ layer, model, node, qconfig }: LoggedNode) {
    super();
    this.layer = layer;
    this.model = model;
    this.entry = entryOf("node_output", node, [], qconfig);
  }

  /** Forgets what was kept and compared. */
  clear(): void {
    this.entry.values.length = 0;
    delete this.entry.comparisons;
  }

  override forward(x: unknown): unknown {
    if (this.enabled && this.saveActivations) this.entry.values.push(inFloat(x as Tensor));
    return x;
  }
}

/** How near a value is to the one it stands for; computeSqnr unless another function is given. */
export type Comparison = (x: Tensor, reference: Tensor) => number;

/** Also compares each value with a reference that it is given along. */
export class OutputComparisonLogger extends NodeOutputLogger {
  comparison: Comparison = (x, reference) => computeSqnr(x, reference);
  comparisonName = "sqnr";

  /** @param x what the shadow gave. @param reference what it should have been. Returns x. */
  override forward(...[x, reference]: [unknown, unknown?]): unknown {
    if (!this.enabled) return x;
    const comparisons = (this.entry.comparisons ??= {});
    (comparisons[this.comparisonName] ??= []).push(this.comparison(inFloat(x as Tensor), inFloat(reference as Tensor)));
    return super.forward(x);
  }
}

function loggersOf(model: GraphModule): NodeOutputLogger[] {
  return [...model.graph.modules.values()].filter((module) => module instanceof NodeOutputLogger);
}

/** Turns all loggers of a graph on or off. */
export function loggersSetEnabled(model: GraphModule, enabled: boolean): void {
  for (const logger of loggersOf(model)) logger.enabled = enabled;
}

/** Whether loggers keep what they see. */
export function loggersSetSaveActivations(model: GraphModule, save: boolean): void {
  for (const logger of loggersOf(model)) logger.saveActivations = save;
}
