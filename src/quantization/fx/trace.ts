/**
 * symbolicTrace: capture, remembering which nodes one call of a layer made.
 *
 * FX thinks in calls: a library layer is one call, whatever operators it consists of, and a free operator is one.
 * Hooks on the layers tag the nodes that appear while a layer runs. Layers with recurrent state are kept whole,
 * because their integer forms are modules. Source: QuantizationTracer, torch/ao/quantization/fx/tracer.py.
 */

import { capture } from "../../graph/capture.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import * as nn from "../../nn/index.ts";
import * as intrinsic from "../../nn/intrinsic/index.ts";
import type { AnyModule, HookHandle } from "../../nn/module.ts";
import { Module } from "../../nn/module.ts";
import { activeTracer } from "../../tensor/context.ts";

/** One run of a library layer. */
export interface LayerCall {
  readonly path: string;
  readonly type: string;
  /** Path and class of the module that made the call. */
  readonly parent: string;
}

const KEY = "fxCall";

export function layerCallOf(node: Node): LayerCall | null {
  return (node.meta.get(KEY) as LayerCall | undefined) ?? null;
}

const CONTAINERS: readonly unknown[] = [nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict];
const isModuleClass = (value: unknown): boolean => typeof value === "function" && value.prototype instanceof Module;
const layers = new Set<unknown>(
  [...Object.values(nn), ...Object.values(intrinsic)].filter(
    (value) => isModuleClass(value) && !CONTAINERS.includes(value),
  ),
);

/** Layers whose quantized forms are modules rather than operators. */
const WHOLE: readonly unknown[] = [nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell];

/** Whether a class belongs to the library's layers, whose insides FX does not look into. */
export function isLibraryLayer(module: AnyModule): boolean {
  return layers.has(module.constructor);
}

export function isLibraryLayerName(name: string): boolean {
  return [...layers].some((layer) => (layer as { readonly name: string }).name === name);
}

export interface TraceOptions {
  /** Modules the graph calls as a whole instead of looking inside. */
  readonly leafModules?: (module: AnyModule, path: string) => boolean;
}

/** The graph a running capture writes to. */
function tracedGraph(): Graph | null {
  const tracer = activeTracer() as { readonly graph?: Graph } | null;
  return tracer?.graph ?? null;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf("."), 0));
}

function watch(path: string, module: AnyModule): HookHandle[] {
  let before = new Set<Node>();
  const type = module.constructor.name;
  return [
    module.registerForwardPreHook(() => {
      const graph = tracedGraph();
      if (graph) before = new Set(graph.nodes);
    }),
    module.registerForwardHook(() => {
      const call: LayerCall = { path, type, parent: parentOf(path) };
      for (const node of tracedGraph()?.nodes ?? []) {
        if (!before.has(node) && node.kind !== "input" && node.kind !== "attribute") node.meta.set(KEY, call);
      }
    }),
  ];
}

/** Outermost library layers and their paths; a layer used under several names counts once, under its first. */
function outermostLayers(root: AnyModule, isLeaf: (module: AnyModule, path: string) => boolean): [string, AnyModule][] {
  const found: [string, AnyModule][] = [];
  for (const [path, module] of root.namedModules()) {
    if (found.some(([outer]) => path.startsWith(`${outer}.`))) continue;
    if (path !== "" && (isLibraryLayer(module) || isLeaf(module, path))) found.push([path, module]);
  }
  return found;
}

/**
 * The graph of a model's forward whose nodes know which layer's call they belong to. The model and its tensors are
 * shared, not copied. @throws GraphError as `capture`.
 */
export function symbolicTrace(
  model: AnyModule,
  exampleInputs: readonly unknown[],
  { leafModules }: TraceOptions = {},
): GraphModule {
  const isLeaf = (module: AnyModule, path: string): boolean =>
    WHOLE.includes(module.constructor) || (leafModules?.(module, path) ?? false);
  const handles = outermostLayers(model, isLeaf).flatMap(([path, module]) => watch(path, module));
  try {
    return capture(model, exampleInputs, { leafModules: isLeaf });
  } finally {
    for (const handle of handles) handle.remove();
  }
}
