/**
 * convertFx and convertToReferenceFx: a calibrated (or trained) model with quantize and dequantize nodes in place of
 * observers; convertFx then lowers these to integer operators. Source: torch/ao/quantization/fx/convert.py.
 */

import { QuantError, kindGiven } from "../../errors.ts";
import { Value } from "../../graph/graph.ts";
import type { Argument, Graph, Node } from "../../graph/graph.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { removeDead } from "../../graph/rewrite.ts";
import { verify } from "../../graph/verify.ts";
import { dequantizeOp } from "../../ops/quantize/native.ts";
import { DEFAULT_ENGINE } from "../../ops/quantized/engines.ts";
import type { QEngine } from "../../ops/quantized/engines.ts";
import { perTensor } from "../../tensor/qparams.ts";
import { isConverted, observedOf, replaceObservers } from "../pt2e/convert.ts";
import type { ConvertOptions } from "../pt2e/convert.ts";
import { assignQConfigs } from "./assign.ts";
import type { BackendConfig } from "./backend-config.ts";
import { ConvertCustomConfig, keepAttributes } from "./custom-config.ts";
import { convertCustomModules, convertRecurrent, convertStandalone } from "./convert-modules.ts";
import { applyEqualization } from "./equalization.ts";
import { lowerToIntegers } from "./lower.ts";
import { nativePairs } from "./pairs.ts";
import { conflictsWith } from "./qconfig-mapping.ts";
import type { MappedQConfig, QConfigMapping } from "./qconfig-mapping.ts";
import { foldTrainedBatchNorms } from "./qat.ts";
import { ObservedGraphModule } from "./state.ts";
import { unitsOf } from "./units.ts";
import type { Unit } from "./units.ts";
import { runWeightObservers, storeLayerWeights } from "./weights.ts";

/** Parameters of an input that comes quantized. */
export interface InputQParams {
  readonly scale: number;
  readonly zeroPoint: number;
}

export interface ConvertFxOptions extends ConvertOptions {
  readonly convertCustomConfig?: ConvertCustomConfig;
  /** The mapping of prepareFx, in which some settings may have become null: those parts stay float. */
  readonly qconfigMapping?: QConfigMapping;
  readonly backendConfig?: BackendConfig;
  /** Whose kernels the integers follow; fbgemm by default, which is also what the compiled engine computes. */
  readonly engine?: QEngine;
  /**
   * What inputs in inputQuantizedIndexes will have, by position. The interpreter reads them from the tensors it is
   * given; compiled graphs need them here.
   */
  readonly inputQParams?: readonly (InputQParams | null)[];
}

/** The qconfigs of conversion: those of preparation, or of another mapping that only takes some away. */
function convertedQConfigs(
  model: ObservedGraphModule,
  units: readonly Unit[],
  mapping?: QConfigMapping,
): Map<Unit, MappedQConfig> {
  if (!mapping) return new Map(units.map((unit) => [unit, unit.record.qconfig]));
  const conflicts = conflictsWith(model.prepared.mapping, mapping);
  if (conflicts.length > 0) {
    throw new QuantError(
      "convertFx",
      { settings: conflicts },
      "the mapping must have the settings of prepareFx, or null in their place",
    );
  }
  return assignQConfigs(mapping, units);
}

/** Removes observers between parts that all stay float. */
function dropIdleObservers(graph: Graph, units: readonly Unit[], qconfigs: ReadonlyMap<Unit, MappedQConfig>): void {
  const byNode = new Map(units.flatMap((unit) => unit.nodes.map((node) => [node, unit] as const)));
  const isFloat = (node: Node): boolean => {
    const unit = byNode.get(node);
    return unit ? (qconfigs.get(unit) ?? null) === null : node.kind === "input";
  };
  for (const node of [...graph.nodes]) {
    const watched = node.kind === "module" && observedOf(graph.modules.get(node.target)) ? node.inputs[0] : undefined;
    if (!watched || ![watched.node, ...node.users].every(isFloat)) continue;
    graph.replaceUses(node.output, watched);
    graph.remove(node);
  }
}

/** Inputs that come as integers are dequantized first. */
function openQuantizedInputs(
  graph: Graph,
  indexes: readonly number[],
  qparams: ConvertFxOptions["inputQParams"],
): void {
  for (const index of indexes) {
    const input = graph.inputs[index]!;
    const { scale, zeroPoint } = qparams?.[index] ?? { scale: 1, zeroPoint: 0 };
    input.type = { dtype: "quint8", shape: input.type!.shape, qparams: perTensor(scale, zeroPoint) };
    const next = graph.nodes[graph.nodes.indexOf(input.node) + 1] ?? null;
    const float = graph.insert(
      {
        kind: "operator",
        target: dequantizeOp.name,
        args: [input],
        types: [{ dtype: "float32", shape: input.type.shape }],
        name: "dequantize",
      },
      next,
    );
    graph.replaceUses(input, float.output, [float]);
  }
}

/** Outputs that stay integers lose their dequantize. */
function keepQuantizedOutputs(graph: Graph, indexes: readonly number[]): void {
  graph.outputs = graph.outputs.map((output, i): Argument => {
    const from = output instanceof Value ? output.node : null;
    return indexes.includes(i) && from?.target === dequantizeOp.name ? from.args[0]! : output;
  });
}

function convert(model: ObservedGraphModule, options: ConvertFxOptions, isReference: boolean): GraphModule {
  if (!(model instanceof ObservedGraphModule)) {
    const isDone = (model as unknown) instanceof GraphModule && isConverted((model as GraphModule).graph);
    throw new QuantError(
      "convertFx",
      { given: kindGiven(model) },
      isDone ? "the model is already converted" : "needs a prepared model",
      isDone ? "Use what convertFx returned" : "Call prepareFx (or prepareQatFx) and calibrate first",
    );
  }
  const { prepared } = model;
  const { engine = DEFAULT_ENGINE, convertCustomConfig: custom = new ConvertCustomConfig() } = options;
  const backend = options.backendConfig ?? prepared.backend;
  const graph = model.graph.clone();
  applyEqualization(graph);
  const units = unitsOf(graph);
  const qconfigs = convertedQConfigs(model, units, options.qconfigMapping);
  foldTrainedBatchNorms(graph);
  for (const node of graph.nodes)
    if (typeof node.attrs["training"] === "boolean") node.attrs = { ...node.attrs, training: false };
  runWeightObservers(graph);
  dropIdleObservers(graph, units, qconfigs);
  const customOutputs = convertCustomModules(graph, prepared.observedModules, custom);
  if (!prepared.isQat) storeLayerWeights(graph, units, qconfigs, backend);
  replaceObservers(graph, nativePairs(engine, options));
  openQuantizedInputs(graph, prepared.custom.inputQuantizedIndexes, options.inputQParams);
  customOutputs.finish(graph, new Map());
  convertStandalone(graph, prepared.standalone, (child) => convert(child, childOptions(options), isReference));
  convertRecurrent(graph, units, qconfigs, isReference, engine);
  keepQuantizedOutputs(graph, prepared.custom.outputQuantizedIndexes);
  removeDead(graph);
  if (!isReference) lowerToIntegers(graph, engine);
  verify(graph);
  return keepAttributes(new GraphModule(graph, false), model, custom.preservedAttributes);
}

/** Standalone modules have a mapping of their own. */
function childOptions({ engine, uninitializedObservers }: ConvertFxOptions): ConvertFxOptions {
  return { ...(engine && { engine }), ...(uninitializedObservers && { uninitializedObservers }) };
}

/**
 * The quantized model, in integer operators wherever the backend has them. The prepared model is not changed.
 * @throws QuantError for a model that was not prepared, observers that saw nothing, a mapping that does not fit.
 */
export function convertFx(model: ObservedGraphModule, options: ConvertFxOptions = {}): GraphModule {
  return convert(model, options, false);
}

/**
 * The quantized model with quantize and dequantize nodes around float operators: what `convertFx` lowers, and a form
 * that any other backend can start from. @throws as `convertFx`.
 */
export function convertToReferenceFx(model: ObservedGraphModule, options: ConvertFxOptions = {}): GraphModule {
  return convert(model, options, true);
}
