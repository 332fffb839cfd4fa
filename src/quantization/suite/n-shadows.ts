/**
 * N-shadows models: behind every part that could be quantized stand copies of it, one a qconfig, which read what the
 * part reads and are compared with what it gives. One run tells, layer by layer, which qconfig loses least.
 * Source: prepare_n_shadows_model and what follows it, torch/ao/ns/_numeric_suite_fx.py and fx/n_shadows_utils.py.
 */

import { GraphError, QuantError } from "../../errors.ts";
import { GraphModule } from "../../graph/graph-module.ts";
import { Graph, Value } from "../../graph/graph.ts";
import type { Argument, Node } from "../../graph/graph.ts";
import { verify } from "../../graph/verify.ts";
import type { AnyModule } from "../../nn/module.ts";
import { assignQConfigs } from "../fx/assign.ts";
import type { BackendConfig } from "../fx/backend-config.ts";
import { getNativeBackendConfig } from "../fx/backends.ts";
import { matchAll } from "../fx/chains.ts";
import type { ChainMatch } from "../fx/chains.ts";
import { convertFx } from "../fx/convert.ts";
import { prepareFx } from "../fx/prepare.ts";
import { QConfigMapping } from "../fx/qconfig-mapping.ts";
import { showFactory } from "../factory.ts";
import type { QConfig } from "../qconfig.ts";
import { ObservedGraphModule } from "../fx/state.ts";
import { symbolicTrace } from "../fx/trace.ts";
import { producers, unitsOf } from "../fx/units.ts";
import type { SuiteEntry, SuiteResults } from "./graph-suite.ts";
import { NodeOutputLogger, OutputComparisonLogger } from "./node-loggers.ts";
import { QConfigMultiMapping } from "./qconfig-multi-mapping.ts";

/** PyTorch keeps all results under this one name. */
const MODEL = "model";

/** Nodes of a matched chain in the graph's order, and the value they give. */
interface Part {
  readonly nodes: readonly Node[];
  readonly output: Value;
  readonly match: ChainMatch;
}

function partOf(graph: Graph, match: ChainMatch): Part {
  const nodes = match.units.flatMap((unit) => unit.nodes).sort((a, b) => graph.indexOf(a) - graph.indexOf(b));
  return { nodes, output: match.units.at(-1)!.output, match };
}

/** What a part reads from outside, tensors of the graph aside. */
function readBy({ nodes }: Part): Value[] {
  const own = new Set(nodes);
  const read = nodes.flatMap((node) => node.inputs).filter(({ node }) => !own.has(node) && node.kind !== "attribute");
  return [...new Set(read)];
}

/** The part as a graph of its own that shares the tensors. */
function graphOf(graph: Graph, part: Part, name: string): Graph {
  const copy = new Graph(name);
  const values = new Map<Value, Value>();
  readBy(part).forEach((value, i) => {
    const node = copy.insert({ kind: "input", target: i === 0 ? "x" : `x${i}`, types: [value.type] });
    values.set(value, node.output);
  });
  const mapped = (arg: Argument): Argument => {
    if (!(arg instanceof Value)) return arg;
    const tensor = graph.tensorOf(arg);
    return tensor ? copy.attribute(arg.node.target, tensor, arg.node.source) : values.get(arg)!;
  };
  for (const node of part.nodes) {
    const { kind, target, attrs, source } = node;
    const types = node.outputs.map(({ type }) => type);
    const twin = copy.insert({ kind, target, attrs, source, types, args: node.args.map(mapped) });
    if (kind === "module") copy.modules.set(target, graph.modules.get(target)!.clone());
    for (const [key, value] of node.meta) twin.meta.set(key, value);
    node.outputs.forEach((value, i) => values.set(value, twin.outputs[i]!));
  }
  copy.outputs = [values.get(part.output)!];
  for (const [path, type] of graph.moduleTypes) copy.moduleTypes.set(path, type);
  return copy;
}

function callAfter(graph: Graph, after: Node, name: string, module: AnyModule, args: Value[], type: Value): Node {
  graph.modules.set(name, module);
  return graph.insertAfter(
    { kind: "module", target: name, args, types: [type.type], source: type.node.source, name },
    after,
  );
}

function shadowsOf(graph: Graph, part: Part, index: number, mappings: readonly QConfigMapping[], config: Config): void {
  const { output, match } = part;
  const first = part.nodes[0]!;
  let last = callAfter(
    graph,
    output.node,
    `shadow_${index}_0`,
    loggerFor(index, 0, first, "", false),
    [output],
    output,
  );
  mappings.forEach((mapping, j) => {
    const qconfig = config.qconfigs[j]!.get(match.units[0]!) ?? null;
    if (!qconfig) return;
    const only = new QConfigMapping().setGlobal(qconfig);
    const whole = new GraphModule(graphOf(graph, part, `shadow_${index}_${j + 1}`), false);
    const prepared = prepareFx(whole, only, [], null, config.backend);
    const wrapper = `shadow_wrapper_${index}_${j + 1}`;
    const shadow = callAfter(graph, last, wrapper, prepared, readBy(part), output);
    const logger = loggerFor(index, j + 1, first, qconfigText(qconfig), true);
    last = callAfter(graph, shadow, `shadow_${index}_${j + 1}`, logger, [shadow.output, output], output);
  });
}

function qconfigText({ activation, weight }: QConfig): string {
  return `activation ${showFactory(activation)}, weight ${showFactory(weight)}`;
}

function loggerFor(part: number, candidate: number, node: Node, qconfig: string, compares: boolean): AnyModule {
  const about = { layer: `subgraph_${part}_${candidate}`, model: MODEL, node, qconfig };
  return compares ? new OutputComparisonLogger(about) : new NodeOutputLogger(about);
}

interface Config {
  readonly backend: BackendConfig;
  readonly qconfigs: readonly ReturnType<typeof assignQConfigs>[];
}

/**
 * A copy of a float model with a shadow for every quantizable part and every mapping that has a qconfig for it. Its
 * outputs stay the float model's. Run it on calibration data, then `convertNShadowsModel`.
 * @param exampleInputs what the model is traced with; only dtypes and shapes matter.
 * @throws QuantError when the mappings have nothing to say about the model; as `prepareFx`.
 */
export function prepareNShadowsModel(
  model: AnyModule,
  exampleInputs: readonly unknown[],
  mappings: QConfigMultiMapping,
  backend: BackendConfig = getNativeBackendConfig(),
): GraphModule {
  if (!(mappings instanceof QConfigMultiMapping)) {
    throw new QuantError(
      "prepareNShadowsModel",
      { mappings: typeof mappings },
      "needs a QConfigMultiMapping",
      "Or QConfigMultiMapping.fromListQConfigMapping([mapping])",
    );
  }
  const graph = symbolicTrace(model, exampleInputs).graph.clone();
  const units = unitsOf(graph);
  const matches = matchAll({ graph, producers: producers(units) }, units, backend);
  const parts = [...new Set(units.flatMap((unit) => matches.get(unit) ?? []))].map((match) => partOf(graph, match));
  const list = mappings.qconfigMappingsList;
  const config = { backend, qconfigs: list.map((mapping) => assignQConfigs(mapping, units)) };
  const wanted = parts.some(({ match }) => config.qconfigs.some((qconfigs) => qconfigs.get(match.units[0]!)));
  if (!wanted) {
    throw new QuantError(
      "prepareNShadowsModel",
      { mappings: list.length, parts: parts.length },
      "no part of the model has a qconfig",
      "Give the QConfigMultiMapping at least one setting that the model has",
    );
  }
  parts.forEach((part, i) => shadowsOf(graph, part, i, list, config));
  verify(graph);
  return new GraphModule(graph, false);
}

/**
 * A copy whose shadows are converted and whose loggers are empty. Run it on data to compare, then `extractResultsNShadowsModel`.
 * @throws QuantError when shadows saw no data.
 */
export function convertNShadowsModel(model: GraphModule): GraphModule {
  const graph = model.graph.clone();
  for (const [name, module] of graph.modules)
    if (module instanceof ObservedGraphModule) graph.modules.set(name, convertFx(module));
    else if (module instanceof NodeOutputLogger) module.clear();
  return new GraphModule(graph, false);
}

/** What the loggers kept: `model` → `node_output` → `subgraph_i_j` → entries; j = 0 is the float part. */
export function extractResultsNShadowsModel(model: GraphModule): SuiteResults {
  const entries: Record<string, SuiteEntry[]> = {};
  for (const module of model.graph.modules.values())
    if (module instanceof NodeOutputLogger) entries[module.layer] = [module.entry];
  if (Object.keys(entries).length === 0)
    throw new GraphError("extractResultsNShadowsModel", { graph: model.graph.name }, "is no N-shadows model");
  return { [MODEL]: { node_output: entries } };
}

/** A table, one line a part and one column a qconfig: the mean of the comparisons (dB), empty where there is no shadow. */
export function printComparisonsNShadowsModel(results: SuiteResults): string {
  const rows = new Map<string, { head: string[]; cells: string[] }>();
  let columns = 0;
  for (const [name, [entry]] of Object.entries(results[MODEL]?.["node_output"] ?? {})) {
    const [, part, candidate] = name.split("_").map(Number) as [number, number, number];
    const key = `subgraph_${part}`;
    const head = [key, entry!.ref_node_target_type, entry!.fqn];
    const row = rows.get(key) ?? { head, cells: [] };
    rows.set(key, row);
    if (candidate === 0) continue;
    columns = Math.max(columns, candidate);
    const numbers = Object.values(entry!.comparisons ?? {}).flat();
    row.cells[candidate - 1] = (numbers.reduce((a, b) => a + b, 0) / numbers.length).toFixed(2);
  }
  const titles = ["subgraph", "type", "module", ...Array.from({ length: columns }, (_, i) => `qconfig ${i + 1}`)];
  const table = [titles, ...[...rows.values()].map(({ head, cells }) => [...head, ...cells])];
  const widths = titles.map((_, c) => Math.max(...table.map((row) => (row[c] ?? "").length)));
  return table
    .map((row) =>
      widths
        .map((width, c) => (row[c] ?? "").padEnd(width))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
