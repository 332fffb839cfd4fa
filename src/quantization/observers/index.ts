/** Observers: classes, named constructors, and their part of state dicts. */

export * from "./base.ts";
export * from "./clipping.ts";
export * from "./histogram.ts";
export * from "./min-max.ts";
export * from "./named.ts";
export * from "./passive.ts";
export * from "./state.ts";
export * from "./least-squares.ts";
