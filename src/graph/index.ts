/** Graphs: capture, printing, parsing, rewriting, interpretation, files. */
export { capture } from "./capture.ts";
export type { CaptureOptions } from "./capture.ts";
export { loadGraph, saveGraph } from "./file.ts";
export { GraphModule } from "./graph-module.ts";
export { Graph, Node, Value, describe } from "./graph.ts";
export type { Argument, FixedBatch, NodeKind, NodeSpec, Source, ValueType } from "./graph.ts";
export { interpret } from "./interpret.ts";
export type { InterpretOptions, NodeListener } from "./interpret.ts";
export { parseGraph } from "./parse.ts";
export { printGraph } from "./print.ts";
export * as rewriting from "./rewriting.ts";
export type { Pass, Rule } from "./rewriting.ts";
export { flattenTree, unflattenTree } from "./tree.ts";
export type { TreeSpec } from "./tree.ts";
export { verify } from "./verify.ts";
