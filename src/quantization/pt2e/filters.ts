/**
 * Which nodes a setting names: by the path or the type of a module whose forward made the call, at any depth.
 * Names that exist nowhere in the graph are refused, with those that are near.
 * Source: get_module_name_filter, torchao/quantization/pt2e/quantizer/utils.py.
 */

import { QuantError } from "../../errors.ts";
import type { Graph, Node } from "../../graph/graph.ts";
import type { AnyModule } from "../../nn/module.ts";
import { nearNames } from "../eager/names.ts";

export type NodeFilter = (node: Node) => boolean;

/** A class of modules, or its name. */
export type ModuleType = string | (abstract new (...args: never) => AnyModule);

function isWithin(path: string, module: string): boolean {
  return path === module || path.startsWith(`${module}.`);
}

/** `a.b.c` → `a`, `a.b`, `a.b.c`. */
function ancestors(path: string): string[] {
  const parts = path.split(".");
  return path === "" ? [] : parts.map((_, i) => parts.slice(0, i + 1).join("."));
}

/** Nodes computed by the module of that path, or by a module inside it. */
export function getModuleNameFilter(moduleName: string): NodeFilter {
  return ({ source: { path } }) => moduleName !== "" && isWithin(path, moduleName);
}

/** Class name of the module at each path of the graph. */
function typesByPath(graph: Graph): Map<string, string> {
  const types = new Map(graph.moduleTypes);
  for (const { source } of graph.nodes) if (source.path) types.set(source.path, source.moduleType);
  return types;
}

export function nameOfType(type: ModuleType): string {
  return typeof type === "string" ? type : type.name;
}

/** Nodes computed by a module of that class (not of a subclass), or by a module inside one. */
export function getModuleTypeFilter(graph: Graph, type: ModuleType): NodeFilter {
  const types = typesByPath(graph);
  const name = nameOfType(type);
  return ({ source }) => ancestors(source.path).some((path) => types.get(path) === name);
}

/** @throws QuantError when no node comes from a module of that path, naming near ones. */
export function requireModuleName(where: string, graph: Graph, name: string): void {
  const known = [...new Set(graph.nodes.flatMap(({ source }) => ancestors(source.path)))];
  if (known.includes(name)) return;
  const near = nearNames(name, known);
  const hint =
    near.length > 0 ? `Did you mean ${near.join(" or ")}?` : `The graph's modules are ${known.slice(0, 12).join(", ")}`;
  throw new QuantError(where, { moduleName: name }, "no node of the graph comes from a module of that name", hint);
}

/** @throws QuantError when no node comes from a module of that class, naming the classes there are. */
export function requireModuleType(where: string, graph: Graph, type: ModuleType): void {
  const types = typesByPath(graph);
  const name = nameOfType(type);
  const present = new Set(graph.nodes.flatMap(({ source }) => ancestors(source.path).map((path) => types.get(path))));
  if (present.has(name)) return;
  const known = [...present].filter((one) => one !== undefined);
  throw new QuantError(
    where,
    { moduleType: name },
    "no node of the graph comes from a module of that class",
    `Its classes are ${known.join(", ")}`,
  );
}
