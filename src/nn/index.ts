/** Layers, containers and initialization, as in torch.nn. Installs the method forms of operators, which models use. */

import "../ops/methods.ts";

export * from "./activation.ts";
export * from "./batch-norm.ts";
export * from "./container.ts";
export * from "./conv.ts";
export * from "./conv-transpose.ts";
export * from "./dropout.ts";
export * from "./embedding.ts";
export * as functional from "./functional.ts";
export * as init from "./init.ts";
export * from "./instance-norm.ts";
export * from "./linear.ts";
export * from "./loss.ts";
export { Module } from "./module.ts";
export type { AnyModule, ForwardHook, ForwardPreHook, HookHandle } from "./module.ts";
export * from "./multihead-attention.ts";
export * from "./norm.ts";
export * from "./padding.ts";
export * from "./pooling.ts";
export * from "./rnn.ts";
export * from "./rnn-cell.ts";
export * from "./transformer.ts";
export * from "./upsample.ts";
export type { LoadOptions, LoadResult, StateDict } from "./state-dict.ts";
export { Parameter } from "../tensor/tensor.ts";
