/**
 * Conversion of what a graph calls as a whole: modules with observed and quantized forms of their own, modules
 * prepared on their own, recurrent layers.
 */

import { QuantError } from "../../errors.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { AnyModule } from "../../nn/module.ts";
import * as nnq from "../../nn/quantized/dynamic/index.ts";
import * as reference from "../../nn/reference/index.ts";
import { dequantize, dequantizeOp } from "../../ops/quantize/native.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { cast } from "../../ops/unary.ts";
import { noGrad } from "../../tensor/context.ts";
import { perTensor } from "../../tensor/qparams.ts";
import type { Tensor, TensorType } from "../../tensor/tensor.ts";
import { observedOf } from "../pt2e/convert.ts";
import type { ConvertCustomConfig } from "./custom-config.ts";
import { unknownName } from "./names.ts";
import { quantizeStored } from "./pairs.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";
import { ObservedGraphModule } from "./state.ts";
import type { Unit } from "./units.ts";

/** The observer of a module's output, if it has one. */
function outputObserver(graph: Graph, node: Node): Node | undefined {
  return node.users.find((user) => user.kind === "module" && observedOf(graph.modules.get(user.target)) !== null);
}

/** Custom modules in between: they read and give integers, so the pairs around them fall away. */
export interface CustomOutputs {
  finish(graph: Graph, seen: Map<Node, Node>): void;
}

/** The observed form gets its output's observer as `activationPostProcess` and is replaced by its quantized form. */
export function convertCustomModules(
  graph: Graph,
  paths: readonly string[],
  config: ConvertCustomConfig,
): CustomOutputs {
  const nodes: Node[] = [];
  for (const path of paths) {
    const observed = graph.modules.get(path)!;
    const type = observed.constructor.name;
    const form = config.observedToQuantizedMapping.get(type);
    if (!form) unknownName("ConvertCustomConfig", "observed class", type, config.observedToQuantizedMapping.keys());
    const node = graph.nodes.find((one) => one.kind === "module" && one.target === path)!;
    const observer = outputObserver(graph, node);
    if (observer) {
      const module = graph.modules.get(observer.target)!;
      Object.assign(observed, { activationPostProcess: module });
      const found = observedOf(module)!;
      const { scale, zeroPoint } = found.calculateQParams();
      const type = node.output.type!;
      node.output.type = { dtype: found.dtype, shape: type.shape, qparams: perTensor(scale.item(), zeroPoint.item()) };
      graph.replaceUses(observer.output, dequantized(graph, node));
      graph.remove(observer);
    }
    graph.modules.set(path, form.fromObserved(observed));
    nodes.push(node);
  }
  return { finish: () => nodes.forEach((node) => readIntegers(graph, node)) };
}

function dequantized(graph: Graph, node: Node): Node["output"] {
  const { shape } = node.output.type!;
  return graph.insertAfter(
    {
      kind: "operator",
      target: dequantizeOp.name,
      args: [node.output],
      types: [{ dtype: "float32", shape }],
      name: "dequantize",
      source: node.source,
    },
    node,
  ).output;
}

function readIntegers(graph: Graph, node: Node): void {
  graph.setArgs(
    node,
    node.args.map((arg) => {
      const from = arg !== null && typeof arg === "object" ? arg.node : null;
      return from?.target === dequantizeOp.name ? from.args[0]! : arg;
    }),
  );
}

/** Modules prepared on their own are converted on their own; their outputs may be integers. */
export function convertStandalone(
  graph: Graph,
  paths: readonly string[],
  convert: (child: ObservedGraphModule) => GraphModule,
): void {
  for (const path of paths) {
    const child = graph.modules.get(path);
    if (!(child instanceof ObservedGraphModule))
      throw new QuantError("convertFx", { module: path }, "a standalone module was replaced after it was prepared");
    const converted = convert(child);
    graph.modules.set(path, converted);
    const types = converted.graph.outputs.map((output): TensorType | null =>
      output !== null && typeof output === "object" ? output.type : null,
    );
    for (const node of graph.nodes) {
      if (node.kind !== "module" || node.target !== path) continue;
      const { inputQuantizedIndexes } = child.prepared.custom;
      if (inputQuantizedIndexes.length > 0) readIntegers(graph, node);
      node.outputs.forEach((value, i) => (value.type = types[i] ?? value.type));
    }
  }
}

type Recurrent = "LSTM" | "GRU" | "LSTMCell" | "GRUCell" | "RNNCell";
interface FromFloat {
  fromFloat(module: never, options?: object): AnyModule;
}
const dynamicForms: Readonly<Record<Recurrent, FromFloat>> = {
  LSTM: nnq.LSTM,
  GRU: nnq.GRU,
  LSTMCell: nnq.LSTMCell,
  GRUCell: nnq.GRUCell,
  RNNCell: nnq.RNNCell,
};
/** A GRU's reference form is the float layer with rounded weights. */
const referenceForms: Readonly<Partial<Record<Recurrent, FromFloat>>> = {
  LSTM: reference.LSTM,
  LSTMCell: reference.LSTMCell,
  GRUCell: reference.GRUCell,
  RNNCell: reference.RNNCell,
};

/** Gives a module the weights that its integers will stand for; biases stay. */
function roundWeights(module: AnyModule, qconfig: NonNullable<MappedQConfig>): void {
  noGrad(() => {
    for (const [name, weight] of module.namedParameters()) {
      if (!name.startsWith("weight")) continue;
      const observer = qconfig.weight();
      const observed = observedOf(observer)!;
      if (observed.dtype === "float16") weight.assign(cast(cast(weight.detach(), "float16"), "float32"));
      else {
        (observer as unknown as { forward(x: Tensor): unknown }).forward(weight.detach());
        weight.assign(dequantize(quantizeStored(weight, observed, observed.calculateQParams())));
      }
    }
  });
}

/** Recurrent layers become their dynamic form, which quantizes its input itself, or their reference form. */
export function convertRecurrent(
  graph: Graph,
  units: readonly Unit[],
  qconfigs: ReadonlyMap<Unit, MappedQConfig>,
  isReference: boolean,
  engine: QEngine,
): void {
  for (const unit of units) {
    const qconfig = qconfigs.get(unit) ?? null;
    if (unit.record.kind !== "module" || !qconfig || !unit.record.isObserved || !Object.hasOwn(dynamicForms, unit.type))
      continue;
    const form = (isReference ? referenceForms : dynamicForms)[unit.type as Recurrent];
    if (!form) {
      roundWeights(graph.modules.get(unit.record.path)!, qconfig);
      continue;
    }
    const module = graph.modules.get(unit.record.path)! as AnyModule & { qconfig?: unknown };
    module.qconfig = qconfig;
    graph.modules.set(unit.record.path, form.fromFloat(module as never, { engine }));
    if (isReference) continue;
    for (const node of unit.nodes) {
      const [first, ...rest] = node.args;
      const from = first !== null && typeof first === "object" ? first.node : null;
      if (from?.target === "quantizeDequantizeDynamic") graph.setArgs(node, [from.args[0]!, ...rest]);
    }
  }
}
