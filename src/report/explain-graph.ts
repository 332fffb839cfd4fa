/**
 * `explain` for graphs of FX and PyTorch 2 Export: a report for every node that computes something.
 *
 * What becomes of a node is found by converting a copy (on a made-up batch where nothing was calibrated yet) and
 * lowering it as `compile` does; types of inputs and outputs are those of the node that takes its place.
 */

import { prepareGraph } from "../compile/prepare.ts";
import { FewbitError } from "../errors.ts";
import type { GraphModule } from "../graph/graph-module.ts";
import { Value } from "../graph/graph.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { learnsFromData } from "../doctor/analysis/units.ts";
import type { AnyModule } from "../nn/module.ts";
import { convertFx } from "../quantization/fx/convert.ts";
import type { QConfigMapping } from "../quantization/fx/qconfig-mapping.ts";
import { ObservedGraphModule } from "../quantization/fx/state.ts";
import { unitRecordOf } from "../quantization/fx/units.ts";
import type { UnitRecord } from "../quantization/fx/units.ts";
import { showFactory } from "../quantization/factory.ts";
import { annotationOf } from "../quantization/pt2e/annotation.ts";
import { convertPt2e } from "../quantization/pt2e/convert-pt2e.ts";
import { baseName, isQuantizing, nodeKeys, outputOf } from "../quantization/suite/node-identity.ts";
import { noGrad } from "../tensor/context.ts";
import { randn, zeros } from "../tensor/create.ts";
import { isFloat } from "../tensor/dtype.ts";
import { Generator } from "../tensor/random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Explanation, ModuleReport, QConfigReport } from "./explain.ts";
import { stageOf } from "./stage.ts";
import type { Stage } from "./stage.ts";
import { reportWatcher } from "./watcher.ts";
import type { WatcherReport } from "./watcher.ts";

/** A batch of the captured types: only what becomes of nodes is read from it, no parameters. */
function madeUpBatch(graph: Graph): Tensor[] {
  return graph.inputs.map(({ type }) => {
    const { shape, dtype } = type!;
    return isFloat(dtype) ? randn(shape, { generator: new Generator(0) }) : zeros(shape, { dtype });
  });
}

interface Converted {
  readonly graph: Graph;
  /** The node that takes a node's place, by the value it had. */
  readonly of: ReadonlyMap<Node, Node>;
}

/** Whether one path is the other's, or a module's around it. */
function isAround(outer: string, inner: string): boolean {
  return outer === inner || outer === "" || inner.startsWith(`${outer}.`);
}

/** What an integer operator computes goes by the float operator's name: `quantizedConvFloat` is a conv. */
function isFormOf(lowered: Node, node: Node): boolean {
  const { source, target } = lowered;
  const isInteger = /^(quantized|integer)[A-Z]/.test(target);
  const isSameLine = source.location !== "" && source.location === node.source.location;
  if (!isInteger || !(isSameLine || isAround(source.path, node.source.path))) return false;
  return target.toLowerCase().includes(baseName(node.target).toLowerCase());
}

/**
 * Where nodes of `graph` went in `converted`: by key, and for a relu fused into the node before it, that node. Lowered
 * nodes that take over several are noted where the last of them was, so they are found by operator and order.
 */
function counterparts(graph: Graph, converted: Graph): Converted {
  const of = new Map<Node, Node>();
  const keys = nodeKeys(graph);
  for (const [node, key] of nodeKeys(converted)) {
    const own = [...keys].find(([, known]) => known === key)?.[0];
    if (own) of.set(own, node);
    const last = own && outputOf(node, key, graph);
    if (last && last !== own) of.set(last, node);
  }
  const taken = new Set(of.values());
  for (const node of keys.keys()) {
    if (of.has(node)) continue;
    const lowered = converted.nodes.find((one) => !taken.has(one) && isFormOf(one, node));
    if (!lowered) continue;
    taken.add(lowered);
    of.set(node, lowered);
    const [next] = node.users;
    if (lowered.attrs["relu"] === true && next && baseName(next.target) === "relu") of.set(next, lowered);
  }
  return { graph: converted, of };
}

/** A copy converted and lowered; null when it cannot be. */
function dryConvert(model: GraphModule, stage: Stage): Converted | null {
  if (stage === "float") return null;
  try {
    const copy = model.clone().eval();
    const isBlank = copy.modules().some((module) => learnsFromData(module) && !module.hasObserved);
    if (isBlank) noGrad(() => copy.forward(...madeUpBatch(copy.graph)));
    if (stage === "converted") return counterparts(model.graph, prepareGraph(copy.graph));
    if (copy instanceof ObservedGraphModule) return counterparts(model.graph, convertFx(copy).graph);
    return counterparts(model.graph, prepareGraph(convertPt2e(copy).graph));
  } catch (error) {
    if (error instanceof FewbitError) return null;
    throw error;
  }
}

function watcherBehind(graph: Graph, node: Node): AnyModule | null {
  const modules = node.users.filter((user) => user.kind === "module").map((user) => graph.modules.get(user.target));
  return modules.find((module) => module && "calculateQParams" in module) ?? null;
}

function watcherOfWeight(graph: Graph, node: Node): AnyModule | null {
  const weight = node.args[1];
  if (!(weight instanceof Value) || weight.node.kind !== "module") return null;
  return graph.tensorOf(weight.node.args[0]!) ? (graph.modules.get(weight.node.target) ?? null) : null;
}

/** Which level of a mapping a unit's qconfig comes from, strongest first. */
function levelOf(mapping: QConfigMapping, { qconfig, path, type, parts, parentType }: UnitRecord): string {
  const order = mapping.moduleNameObjectTypeOrderQConfigs.find((entry) => entry.qconfig === qconfig);
  if (order) return `call ${order.index} of ${order.objectType} in "${order.moduleName}"`;
  for (let name = path; name !== ""; name = name.slice(0, Math.max(name.lastIndexOf("."), 0)))
    if (mapping.moduleNameQConfigs.get(name) === qconfig) return `module name "${name}"`;
  const regex = [...mapping.moduleNameRegexQConfigs].find(([pattern]) => new RegExp(`^(?:${pattern})`).test(path));
  if (regex?.[1] === qconfig) return `pattern "${regex[0]}"`;
  const known = [type, ...parts, parentType].find((one) => mapping.objectTypeQConfigs.get(one) === qconfig);
  if (known !== undefined) return `type ${known}`;
  return "global";
}

function qconfigOf(model: GraphModule, node: Node): QConfigReport | null {
  const record = unitRecordOf(node);
  if (!(model instanceof ObservedGraphModule) || !record?.qconfig) return null;
  const { activation, weight } = record.qconfig;
  const from = levelOf(model.prepared.mapping, record);
  const own = from === `module name "${record.path}"` || from.startsWith("call ");
  return { activation: showFactory(activation), weight: showFactory(weight), from: `the mapping's ${from}`, own };
}

function ruleOf(model: GraphModule, node: Node, stage: Stage, at: Node | undefined): string {
  if (stage === "converted") {
    if (at && at.target !== node.target) return "lowered to integers by compile";
    return isQuantizing(node) ? "put there by convert" : "stays as it is";
  }
  const record = unitRecordOf(node);
  if (model instanceof ObservedGraphModule && record) {
    const { name } = model.prepared.backend;
    if (record.isObserved) return `backend "${name}": ${record.parts.join(" + ")}`;
    if (!record.qconfig) return "stays float: no setting of the mapping reaches it, or one says null";
    return `stays as it is: backend "${name}" does not run it with this qconfig`;
  }
  if (stage === "float") return "not prepared: a QConfigMapping or a Quantizer decides";
  if (annotationOf(node)) return "annotated by the quantizer";
  if (watcherBehind(model.graph, node)) return "shares the range of what it reads";
  return "not annotated by the quantizer: works on what it gets";
}

function showType(value: Value): string {
  return value.type ? `${value.type.dtype}[${value.type.shape.join(",")}]` : "?";
}

/** Computed inputs only: stored weights have a column of their own. */
function inputTypes(graph: Graph, node: Node): string[] {
  const computed = node.inputs.filter((value) => graph.tensorOf(value) === null && !isStoredBehind(graph, value));
  return computed.map(showType);
}

/** Whether a value is a stored tensor behind observers or dequantize. */
function isStoredBehind(graph: Graph, value: Value): boolean {
  const before = value.node.inputs;
  return before.length > 0 && before.every((one) => graph.tensorOf(one) !== null || isStoredBehind(graph, one));
}

function storedWeightOf(graph: Graph, node: Node): ModuleReport["storedWeight"] {
  const weight = graph.tensorOf(node.args[1] ?? null);
  if (!weight?.qparams) return null;
  const { qparams, dtype } = weight;
  return { dtype, scales: qparams.kind === "perTensor" ? [qparams.scale] : qparams.scales };
}

interface Parameters {
  readonly scale: number | null;
  readonly zeroPoint: number | null;
}

/** Parameters of an output: those of its type, or of the quantize node behind it. */
function outputParameters(node: Node): Parameters {
  const { type } = node.outputs[0]!;
  if (type?.qparams?.kind === "perTensor") return type.qparams;
  const quantizer = isQuantizing(node) ? node : node.users.find(isQuantizing);
  const [, scale, zeroPoint] = quantizer?.args ?? [];
  return {
    scale: typeof scale === "number" ? scale : null,
    zeroPoint: typeof zeroPoint === "number" ? zeroPoint : null,
  };
}

function becomesOf(node: Node, at: Node | undefined): string | null {
  return at && at.target !== node.target ? at.target : null;
}

function report(model: GraphModule, node: Node, stage: Stage, converted: Converted | null): ModuleReport {
  const { graph } = model;
  const at = converted?.of.get(node);
  const shown = at ?? node;
  const shownGraph = at ? converted!.graph : graph;
  const output: WatcherReport | null = reportWatcher(watcherBehind(graph, node));
  return {
    path: node.outputs[0]!.name,
    depth: 0,
    className: node.target,
    training: node.attrs["training"] === true,
    becomes: becomesOf(node, at),
    rule: ruleOf(model, node, stage, at),
    qconfig: qconfigOf(model, node),
    output,
    weight: reportWatcher(watcherOfWeight(graph, node)),
    ...(stage === "converted" ? outputParameters(shown) : { scale: null, zeroPoint: null }),
    storedWeight: storedWeightOf(shownGraph, shown),
    inputs: [inputTypes(shownGraph, shown)],
    outputs: [shown.outputs.map(showType)],
    source: [node.source.path, node.source.location].filter((part) => part !== "").join(", "),
    note: null,
  };
}

function inputReport({ graph }: GraphModule, value: Value): ModuleReport {
  return {
    path: value.name,
    depth: 0,
    className: "input",
    training: false,
    becomes: null,
    rule: "the model's input",
    qconfig: null,
    output: reportWatcher(watcherBehind(graph, value.node)),
    weight: null,
    scale: null,
    zeroPoint: null,
    storedWeight: null,
    inputs: [],
    outputs: [[showType(value)]],
    source: null,
    note: null,
  };
}

/** Inputs, and every node that computes something of them, in order. */
export function explainGraph(model: GraphModule): Explanation {
  const stage = stageOf(model);
  const converted = dryConvert(model, stage);
  const computing = new Set(nodeKeys(model.graph).keys());
  const isShown = (node: Node): boolean => computing.has(node) || (stage === "converted" && isQuantizing(node));
  const shown = model.graph.nodes.filter((node) => isShown(node) && !isStoredBehind(model.graph, node.outputs[0]!));
  const inputs = model.graph.inputs.map((value) => inputReport(model, value));
  return { stage, modules: [...inputs, ...shown.map((node) => report(model, node, stage, converted))] };
}
