/**
 * doctor for graphs: FX and PyTorch 2 Export models, prepared or converted, and models about to be prepared by FX.
 *
 * A graph needs no stubs, so the usual mistakes are others: settings that match nothing, or that the backend does not
 * run and silently leaves float; observers that the calibration data did not reach; layers in training mode.
 */

import type { GraphModule } from "../../graph/graph-module.ts";
import type { Node } from "../../graph/graph.ts";
import { FakeQuantizeBase } from "../../quantization/fake-quantize/base.ts";
import { ObservedGraphModule } from "../../quantization/fx/state.ts";
import type { BackendConfig, BackendPattern } from "../../quantization/fx/backend-config.ts";
import { unitsOf } from "../../quantization/fx/units.ts";
import type { Unit } from "../../quantization/fx/units.ts";
import { convertsWeight, weightIndexes } from "../../quantization/fx/weights.ts";
import { ObserverBase } from "../../quantization/observers/base.ts";
import type { QConfig } from "../../quantization/qconfig.ts";
import { showFactory } from "../../quantization/factory.ts";
import { learnsFromData } from "../analysis/units.ts";
import { activationMaxOf, excessOf, weightSums } from "../analysis/accumulation.ts";
import type { Finding, Target } from "../finding.ts";
import { integerWeights } from "./weights.ts";

function typesIn(pattern: BackendPattern): string[] {
  return typeof pattern === "string" ? [pattern] : (pattern as readonly BackendPattern[]).flatMap(typesIn);
}

/** Dtypes a backend runs a type with, as text: `quint8 in, qint8 weight, quint8 out`. */
function supportedBy(backend: BackendConfig, type: string): string {
  const configs = backend.configs.filter(({ pattern }) => pattern === type).flatMap(({ dtypeConfigs }) => dtypeConfigs);
  const shown = configs.map(({ input, weight, output, isDynamic }) =>
    [
      input && `${input.dtype} in${isDynamic ? " (dynamic)" : ""}`,
      weight && `${weight.dtype} weight`,
      output && `${output.dtype} out`,
    ]
      .filter((part) => part)
      .join(", "),
  );
  return [...new Set(shown)].join("; or ");
}

function asked({ activation, weight }: QConfig): string {
  return `activations by ${showFactory(activation)}, weights by ${showFactory(weight)}`;
}

function unitName({ record }: Unit): string {
  const where = record.path === "" ? "(root)" : record.path;
  return record.kind === "operator" ? `${record.type} in "${where}"` : `${record.type} "${where}"`;
}

/** Layers that run only dynamically need another qconfig than the rest of the model. */
function remedy(backend: BackendConfig, { type, record }: Unit): string {
  const configs = backend.configs.filter(({ pattern }) => pattern === type).flatMap(({ dtypeConfigs }) => dtypeConfigs);
  const isDynamicOnly = configs.length > 0 && configs.every(({ isDynamic }) => isDynamic);
  if (isDynamicOnly) return `Quantize it dynamically: setModuleName("${record.path}", defaultDynamicQConfig)`;
  return "Use a qconfig of those dtypes, such as getDefaultQConfigMapping() gives";
}

/** Units that have a qconfig and a pattern of the backend, and stay float all the same. */
function unsupported(model: ObservedGraphModule): Finding[] {
  const { backend } = model.prepared;
  const known = new Set(backend.configs.flatMap(({ pattern }) => typesIn(pattern)));
  return unitsOf(model.graph).flatMap((unit): Finding[] => {
    const { qconfig, isObserved, path, type } = unit.record;
    if (!qconfig || !known.has(type)) return [];
    const node = unit.nodes[0]!;
    const isWeighted = unit.isLayer && node.target in weightIndexes;
    const keepsWeight = isWeighted && !model.prepared.isQat && !convertsWeight(unit, qconfig, backend);
    if (isObserved && !keepsWeight) return [];
    const whole = isObserved ? "its weight stays float" : "it stays float, without notice";
    return [
      {
        code: "backend-unsupported",
        path,
        location: node.source.location,
        cause: `the backend "${backend.name}" does not run ${unitName(unit)} with ${asked(qconfig)}, so ${whole}; it runs ${supportedBy(backend, type) || "it only fused with its neighbours"}`,
        fix: `${remedy(backend, unit)}; or say that float is meant: setModuleName("${path}", null)`,
      },
    ];
  });
}

/** A prepared model in which nothing is observed. */
function nothingObserved(model: ObservedGraphModule): Finding[] {
  const units = unitsOf(model.graph);
  if (units.some(({ record }) => record.isObserved) || model.prepared.observedModules.length > 0) return [];
  if (units.some(({ record }) => record.qconfig)) return [];
  const cause = `the QConfigMapping gives no part of the model a qconfig: convertFx will change nothing`;
  return [
    { code: "no-qconfig", path: "", location: "", cause, fix: "Use getDefaultQConfigMapping(), or call setGlobal" },
  ];
}

function isStatic(model: GraphModule): boolean {
  const modules = [...model.graph.modules.values()];
  return (
    modules.some((module) => module instanceof ObserverBase) && !modules.some((m) => m instanceof FakeQuantizeBase)
  );
}

/** Dropout and batch normalization that would change what observers see. */
function inTraining(model: GraphModule): Finding[] {
  if (!isStatic(model)) return [];
  const node = model.graph.nodes.find(({ attrs }) => attrs["training"] === true);
  if (!node) return [];
  return [
    {
      code: "train-mode",
      path: node.source.path,
      location: node.source.location,
      cause: `${node.target} of "${node.source.path}" is in training mode: it would change what calibration sees`,
      fix: "Call eval() on the model before it is captured, or on the graph before calibration",
    },
  ];
}

function watched(node: Node): string {
  const from = node.inputs[0]?.node;
  return from ? from.outputs[0]!.name : node.target;
}

/** After calibration: observers that still saw nothing. */
function uncalibrated(model: GraphModule): Finding[] {
  const watchers = model.graph.nodes.filter(
    (node) => node.kind === "module" && learnsFromData(model.graph.modules.get(node.target)),
  );
  const sees = (node: Node): boolean => (model.graph.modules.get(node.target) as ObserverBase).hasObserved;
  if (!watchers.some(sees)) return [];
  return watchers
    .filter((node) => !sees(node))
    .map((node) => ({
      code: "uncalibrated-observer",
      path: node.source.path,
      location: node.source.location,
      cause: `the observer of %${watched(node)} saw no data in calibration, though every batch passes it`,
      fix: "Calibrate again by calling the prepared graph itself; do not reset or replace its observers",
    }));
}

function limits(model: GraphModule, target: Target): Finding[] {
  return integerWeights(model.graph).flatMap(({ node, weight, isTransposed, input }): Finding[] => {
    const excess = excessOf(weightSums(weight, isTransposed), activationMaxOf(input), target === "avx2");
    if (!excess) return [];
    const { path, location } = node.source;
    const fix =
      excess.code === "int32-overflow"
        ? `Split the input features of ${path} over two layers, or use activations of fewer bits`
        : "Use activations of 7 bits: reduceRange in the activation observer (getDefaultQConfigMapping, X86Quantizer with reduceRange)";
    return [{ code: excess.code, path, location, cause: `${node.target} of "${path}": ${excess.cause}`, fix }];
  });
}

/** Mistakes in a graph. */
export function examineGraph(model: GraphModule, target: Target): Finding[] {
  const prepared = model instanceof ObservedGraphModule ? [...nothingObserved(model), ...unsupported(model)] : [];
  return [...prepared, ...inTraining(model), ...uncalibrated(model), ...limits(model, target)];
}
