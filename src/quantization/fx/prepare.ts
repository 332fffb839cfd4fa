/**
 * prepareFx and prepareQatFx: a traced, fused copy of a model with observers (or fake-quantizes) where its mapping and
 * backend ask for them. Source: torch/ao/quantization/quantize_fx.py and fx/prepare.py.
 */

import { QuantError } from "../../errors.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import type { Graph } from "../../graph/graph.ts";
import { removeDead } from "../../graph/rewrite.ts";
import { verify } from "../../graph/verify.ts";
import type { AnyModule } from "../../nn/module.ts";
import { zeros } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { insertObservers } from "../pt2e/insert.ts";
import { assignQConfigs, checkMapping } from "./assign.ts";
import { BackendConfig } from "./backend-config.ts";
import { getNativeBackendConfig } from "./backends.ts";
import { checkIndexes, checkPrepareCustomConfig, keepAttributes, PrepareCustomConfig } from "./custom-config.ts";
import type { StandaloneModuleConfigEntry } from "./custom-config.ts";
import { insertEqualization } from "./equalization.ts";
import { fuseGraph } from "./fuse.ts";
import { FxQuantizer } from "./fx-quantizer.ts";
import { trainBatchNorms } from "./qat.ts";
import { QConfigMapping } from "./qconfig-mapping.ts";
import type { MappedQConfig } from "./qconfig-mapping.ts";
import { ObservedGraphModule } from "./state.ts";
import { symbolicTrace } from "./trace.ts";
import { renewRecords, unitsOf } from "./units.ts";
import type { Unit } from "./units.ts";
import { handleUnsupported } from "./unsupported.ts";
import type { OnUnsupported } from "./unsupported.ts";

interface Request {
  readonly model: AnyModule;
  readonly mapping: QConfigMapping;
  readonly exampleInputs: readonly unknown[];
  readonly custom: PrepareCustomConfig;
  readonly backend: BackendConfig;
  readonly isQat: boolean;
  readonly equalize?: boolean;
  readonly onUnsupported: OnUnsupported;
}

export interface PrepareQatFxOptions {
  /**
   * What to do when a qconfig asks for what the backend does not run, so that a layer stays float: keep it in
   * `unsupported` of the result (default), refuse, or call a function.
   */
  readonly onUnsupported?: OnUnsupported;
}

export interface PrepareFxOptions extends PrepareQatFxOptions {
  /** Also scale the input channels of layers to the ranges of their weights' columns (input-weight equalization). */
  readonly equalize?: boolean;
}

/** The standalone setting of a module; by name before by class. */
function standaloneOf({ custom }: Request, path: string, type: string): StandaloneModuleConfigEntry | undefined {
  return custom.standaloneModuleNames.get(path) ?? custom.standaloneModuleClasses.get(type);
}

function traced(request: Request): Graph {
  const { model, exampleInputs, custom } = request;
  if (model instanceof GraphModule) {
    const graph = model.graph.clone();
    renewRecords(graph);
    return graph;
  }
  const isWhole = (module: AnyModule, path: string): boolean => {
    const type = module.constructor.name;
    if (custom.nonTraceableModuleNames.includes(path) || custom.nonTraceableModuleClasses.includes(type)) return true;
    return custom.floatToObservedMapping.has(type) || standaloneOf(request, path, type) !== undefined;
  };
  return symbolicTrace(model, exampleInputs, { leafModules: isWhole }).graph.clone();
}

/** Class names by path, root under "". */
function modulesOf({ model }: Request, graph: Graph): Map<string, string> {
  if (model instanceof GraphModule) {
    const fromNodes = graph.nodes.map(({ source }) => [source.path, source.moduleType] as const);
    return new Map([["", ""], ...fromNodes, ...graph.moduleTypes]);
  }
  return new Map(model.namedModules().map(([path, module]) => [path, module.constructor.name]));
}

/** Prepares standalone modules and puts observed forms in place; returns the paths of both. */
function replaceModules(
  request: Request,
  graph: Graph,
  qconfigs: ReadonlyMap<Unit, MappedQConfig>,
): { standalone: Map<string, readonly number[]>; observed: string[] } {
  const { custom, mapping, backend, isQat } = request;
  const standalone = new Map<string, readonly number[]>();
  const observed: string[] = [];
  for (const [unit, qconfig] of qconfigs) {
    if (unit.record.kind !== "module") continue;
    const { path, type } = unit.record;
    const module = graph.modules.get(path)!;
    const config = standaloneOf(request, path, type);
    const form = custom.floatToObservedMapping.get(type);
    if (config) {
      const inputs =
        config.exampleInputs ??
        unit.args.map((value): Tensor => zeros(value.type!.shape, { dtype: value.type!.dtype }));
      const inner = config.prepareCustomConfig ?? new PrepareCustomConfig();
      const child: Request = {
        model: module,
        mapping: config.qconfigMapping ?? new QConfigMapping().setGlobal(mapping.globalQConfig),
        exampleInputs: inputs,
        custom: inner,
        backend: config.backendConfig ?? backend,
        isQat,
        onUnsupported: request.onUnsupported,
      };
      graph.modules.set(path, prepare(child));
      standalone.set(path, inner.inputQuantizedIndexes);
    } else if (form && qconfig) {
      const observedForm = form.fromFloat(Object.assign(module, { qconfig }));
      graph.modules.set(path, Object.assign(observedForm, { qconfig }));
      observed.push(path);
    }
  }
  return { standalone, observed };
}

function checkArguments({ mapping, custom, backend }: Request): void {
  const wrong = !(mapping instanceof QConfigMapping)
    ? ["mapping", "QConfigMapping, such as getDefaultQConfigMapping()", mapping]
    : !(custom instanceof PrepareCustomConfig)
      ? ["custom", "PrepareCustomConfig, or null", custom]
      : !(backend instanceof BackendConfig)
        ? ["backend", "BackendConfig, or null", backend]
        : null;
  if (!wrong) return;
  const given = wrong[2] as object | null | undefined;
  throw new QuantError(
    "prepareFx",
    { argument: wrong[0], given: given ? given.constructor.name : typeof given },
    `must be a ${wrong[1] as string}`,
    "The arguments are model, mapping, exampleInputs, custom, backend",
  );
}

function prepare(request: Request): ObservedGraphModule {
  const { model, mapping, custom, backend, isQat } = request;
  checkArguments(request);
  if (!(model instanceof GraphModule)) checkPrepareCustomConfig(model, custom);
  const graph = traced(request);
  checkMapping(mapping, modulesOf(request, graph), backend);
  checkIndexes("inputQuantizedIndexes", custom.inputQuantizedIndexes, graph.inputs.length);
  checkIndexes("outputQuantizedIndexes", custom.outputQuantizedIndexes, graph.outputs.length);
  fuseGraph(graph, backend, isQat);
  const units = unitsOf(graph);
  const qconfigs = assignQConfigs(mapping, units);
  if (isQat) trainBatchNorms(graph, units, qconfigs);
  const { standalone, observed } = replaceModules(request, graph, qconfigs);
  const quantizer = new FxQuantizer({
    mapping,
    backend,
    isQat,
    inputQuantizedIndexes: custom.inputQuantizedIndexes,
    standalone,
    customClasses: new Set(custom.floatToObservedMapping.keys()),
  });
  quantizer.annotate(graph);
  handleUnsupported(quantizer.unsupported, request.onUnsupported);
  insertObservers(graph, { isQat });
  if (request.equalize) insertEqualization(graph);
  removeDead(graph);
  verify(graph);
  const state = {
    mapping: mapping.copy(),
    backend,
    custom,
    isQat,
    standalone: [...standalone.keys()],
    observedModules: observed,
    unsupported: quantizer.unsupported,
  };
  return keepAttributes(new ObservedGraphModule(graph, model.training, state), model, custom.preservedAttributes);
}

/**
 * A copy of the model, traced and fused, with observers. Calibrate by calling it, then `convertFx`.
 * @param mapping which part is quantized how; `getDefaultQConfigMapping(backend)` to start from.
 * @param exampleInputs what the model is traced with; only dtypes and shapes matter.
 * @param custom exceptions. @param backend what can run in integers; native by default.
 * What a qconfig asks for and the backend does not run stays float and is listed in `unsupported` of the result.
 * @throws QuantError for names that match nothing, a batch norm in training mode, fused parts whose qconfigs differ;
 * GraphError when the model cannot be traced.
 */
export function prepareFx(
  model: AnyModule,
  mapping: QConfigMapping,
  exampleInputs: readonly unknown[],
  custom: PrepareCustomConfig | null = null,
  backend: BackendConfig | null = null,
  { equalize = false, onUnsupported = "report" }: PrepareFxOptions = {},
): ObservedGraphModule {
  const [customConfig, backendConfig] = [custom ?? new PrepareCustomConfig(), backend ?? getNativeBackendConfig()];
  return prepare({
    model,
    mapping,
    exampleInputs,
    custom: customConfig,
    backend: backendConfig,
    isQat: false,
    equalize,
    onUnsupported,
  });
}

/**
 * The same for quantization-aware training: fake-quantizes instead of observers, also on weights, and batch norms that
 * train fused with the layers before them. Train it like any module, then `convertFx`.
 * @throws as `prepareFx`; QuantError for a transposed convolution with a batch norm.
 */
export function prepareQatFx(
  model: AnyModule,
  mapping: QConfigMapping,
  exampleInputs: readonly unknown[],
  custom: PrepareCustomConfig | null = null,
  backend: BackendConfig | null = null,
  { onUnsupported = "report" }: PrepareQatFxOptions = {},
): ObservedGraphModule {
  return prepare({
    model,
    mapping,
    exampleInputs,
    custom: custom ?? new PrepareCustomConfig(),
    backend: backend ?? getNativeBackendConfig(),
    isQat: true,
    onUnsupported,
  });
}
