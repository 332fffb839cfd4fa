/**
 * `explain`: what every module of a model is, and what becomes of it. Plain data; explain-text.ts prints it.
 *
 * Nothing is predicted by rules of its own: a copy of the model is prepared and converted on made-up data, and what
 * comes out is reported. Types of inputs need example inputs, because only a run shows who feeds whom.
 */

import { dryRun } from "../doctor/analysis/dry.ts";
import type { DryRun, Flow } from "../doctor/analysis/dry.ts";
import { replay } from "../doctor/analysis/replay.ts";
import { callsByPath, isValue, traceUnits } from "../doctor/analysis/trace.ts";
import { GraphModule } from "../graph/graph-module.ts";
import { explainGraph } from "./explain-graph.ts";
import { isWatcher, outermostUnits } from "../doctor/analysis/units.ts";
import type { AnyModule } from "../nn/module.ts";
import { Identity } from "../nn/linear.ts";
import { QuantizedModule, QuantizedOutputModule } from "../nn/quantized/base.ts";
import { DeQuantize } from "../nn/quantized/quantize.ts";
import { propagateQConfig } from "../quantization/eager/propagate.ts";
import { FakeQuantizeBase } from "../quantization/fake-quantize/base.ts";
import { QConfig } from "../quantization/qconfig.ts";
import { showFactory } from "../quantization/factory.ts";
import { Tensor } from "../tensor/tensor.ts";
import { stageOf, stubSentence } from "./stage.ts";
import type { Stage } from "./stage.ts";
import { reportWatcher } from "./watcher.ts";
import type { WatcherReport } from "./watcher.ts";

export interface QConfigReport {
  /** Observer or fake-quantize class and its options, as text: `HistogramObserver(reduceRange=true)`. */
  readonly activation: string;
  readonly weight: string;
  /** Path of the module that has it; "" is the root. */
  readonly from: string;
  /** Whether that is this very module. */
  readonly own: boolean;
}

export interface ModuleReport {
  readonly path: string;
  /** Depth in the tree; 0 is the root. */
  readonly depth: number;
  readonly className: string;
  readonly training: boolean;
  /** Class after convert; null when the module stays what it is. */
  readonly becomes: string | null;
  /** Why it becomes that, or why it stays. */
  readonly rule: string;
  readonly qconfig: QConfigReport | null;
  readonly output: WatcherReport | null;
  readonly weight: WatcherReport | null;
  /** Converted modules: the parameters of their outputs. */
  readonly scale: number | null;
  readonly zeroPoint: number | null;
  /** Converted modules: dtype and parameters of the stored weight. */
  readonly storedWeight: { readonly dtype: string; readonly scales: readonly number[] } | null;
  /** Types after convert, a call each, from the example inputs: `quint8[1,3,8,8]`. */
  readonly inputs: readonly (readonly string[])[];
  readonly outputs: readonly (readonly string[])[];
  /** Graphs: path of the module whose forward made the call, and the user's line. Null for modules. */
  readonly source: string | null;
  /** What a stub does at this stage. */
  readonly note: string | null;
}

export interface Explanation {
  readonly stage: Stage;
  readonly modules: readonly ModuleReport[];
}

/** The outermost module from which an unbroken line of parents hands this qconfig down. */
function sourceOf(path: string, qconfig: unknown, byPath: ReadonlyMap<string, AnyModule>): string {
  let from = path;
  while (from !== "") {
    const parent = from.slice(0, Math.max(from.lastIndexOf("."), 0));
    if (byPath.get(parent)?.qconfig !== qconfig) break;
    from = parent;
  }
  return from;
}

function reportQConfig(path: string, byPath: ReadonlyMap<string, AnyModule>): QConfigReport | null {
  const qconfig = byPath.get(path)?.qconfig;
  if (!(qconfig instanceof QConfig)) return null;
  const from = sourceOf(path, qconfig, byPath);
  return { activation: showFactory(qconfig.activation), weight: showFactory(qconfig.weight), from, own: from === path };
}

interface Fate {
  readonly becomes: string | null;
  readonly rule: string;
}

function fateOf(path: string, module: AnyModule, qconfig: unknown, stage: Stage, dry: DryRun | null): Fate {
  if (module instanceof Identity && module.fusedInto !== undefined)
    return { becomes: null, rule: `fused into ${module.fusedInto}: gives on what it gets` };
  if (stage === "converted") {
    const isMade = module instanceof QuantizedModule || module instanceof DeQuantize;
    return { becomes: null, rule: isMade ? "made by convert" : "left as it was by convert" };
  }
  if (path === "") return { becomes: null, rule: "the root itself is never swapped" };
  const refused = dry?.refused.get(path);
  if (refused) return { becomes: null, rule: `convert will refuse it: ${refused.message}` };
  const swapped = dry?.converted.get(path);
  if (!swapped) return { becomes: null, rule: "container: its children decide for themselves" };
  if (qconfig === undefined) return { becomes: null, rule: "stays: no qconfig reaches it" };
  if (qconfig === null) return { becomes: null, rule: "stays: its qconfig is null" };
  const same = swapped === dry!.prepared.get(path);
  if (same) return { becomes: null, rule: "stays: eager mode has no integer class for it; it works on what it gets" };
  const between = dry!.prepared.get(path)!;
  const via =
    between.constructor === module.constructor
      ? ""
      : ` by way of its form for training or observation, ${between.constructor.name},`;
  return {
    becomes: `quantized ${swapped.constructor.name}`,
    rule: `static table: ${module.constructor.name}${via} → ${swapped.constructor.name}`,
  };
}

function storedWeightOf(module: AnyModule): ModuleReport["storedWeight"] {
  const { weight } = module as { weight?: unknown };
  if (!(weight instanceof Tensor) || !weight.qparams) return null;
  const { qparams } = weight;
  return { dtype: weight.dtype, scales: qparams.kind === "perTensor" ? [qparams.scale] : qparams.scales };
}

function showType({ dtype, shape }: Tensor): string {
  return `${dtype}[${shape.join(",")}]`;
}

type Types = Pick<ModuleReport, "inputs" | "outputs">;

/** Types of each unit's inputs and outputs, a call each. @throws what the forward throws. */
function typesByPath(model: AnyModule, exampleInputs: readonly unknown[], dry: DryRun): Map<string, Types> {
  const { trace, failure } = traceUnits(model, exampleInputs);
  if (failure) throw failure;
  const { types } = replay(trace, dry);
  const found = new Map<string, Types>();
  for (const [path, nodes] of callsByPath(trace.graph)) {
    const inputs = nodes.map((node) => node.args.filter(isValue).map((value) => showType(types.get(value)!)));
    const outputs = nodes.map((node) => node.outputs.map((value) => showType(types.get(value)!)));
    found.set(path, { inputs, outputs });
  }
  return found;
}

/** Watchers, and the parts of units that are reported as one. */
function isHidden(path: string, module: AnyModule, units: readonly string[]): boolean {
  return (
    isWatcher(module) || path.endsWith("activationPostProcess") || units.some((unit) => path.startsWith(`${unit}.`))
  );
}

function reportModule(path: string, module: AnyModule, at: Context): ModuleReport {
  const watched = module as { activationPostProcess?: AnyModule; weightFakeQuant?: AnyModule };
  const types = at.types.get(path) ?? at.types.get(`${path}.activationPostProcess`);
  const output = module instanceof QuantizedOutputModule ? module : null;
  return {
    path,
    depth: path === "" ? 0 : path.split(".").length,
    className: module.constructor.name,
    training: module.training,
    ...fateOf(path, module, at.byPath.get(path)?.qconfig, at.stage, at.dry),
    qconfig: reportQConfig(path, at.byPath),
    output: reportWatcher(watched.activationPostProcess),
    weight: reportWatcher(watched.weightFakeQuant),
    scale: output?.scale ?? null,
    zeroPoint: output?.zeroPoint ?? null,
    storedWeight: storedWeightOf(module),
    inputs: types?.inputs ?? [],
    outputs: types?.outputs ?? [],
    source: null,
    note: stubSentence(module, at.stage),
  };
}

interface Context {
  readonly stage: Stage;
  readonly dry: DryRun | null;
  readonly byPath: ReadonlyMap<string, AnyModule>;
  readonly types: ReadonlyMap<string, Types>;
}

function flowOf(model: AnyModule): Flow {
  const { qconfig } = model;
  const trained = qconfig instanceof QConfig && qconfig.activation() instanceof FakeQuantizeBase;
  return trained && model.training ? "qat" : "static";
}

const nothing: DryRun = { prepared: new Map(), converted: new Map(), refused: new Map(), meant: new Set() };

/**
 * Every module of a model: what it is, what it becomes and why, its observer, qconfig, ranges and parameters. The model
 * is not changed. Of graphs (FX, PyTorch 2 Export) every node that computes something is reported in the same form.
 * @param exampleInputs with them, the types of inputs and outputs after convert are reported as well; graphs know them.
 * @throws QuantError for a qconfig that is not one; what the forward throws on the example inputs.
 */
export function explain(model: AnyModule, exampleInputs?: readonly unknown[]): Explanation {
  if (model instanceof GraphModule) return explainGraph(model);
  const stage = stageOf(model);
  const dry = stage === "converted" ? null : dryRun(model, flowOf(model));
  const copy = model.clone();
  if (stage !== "converted") propagateQConfig(copy);
  const types = exampleInputs ? typesByPath(model, exampleInputs, dry ?? nothing) : new Map<string, Types>();
  const context: Context = { stage, dry, byPath: new Map(copy.namedModules()), types };
  const units = outermostUnits(model).map(([path]) => path);
  const shown = model.namedModules().filter(([path, module]) => !isHidden(path, module, units));
  return { stage, modules: shown.map(([path, module]) => reportModule(path, module, context)) };
}
