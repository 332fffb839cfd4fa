/** Optimizers and learning-rate schedules. */
export * from "./adam.ts";
export * from "./optimizer.ts";
export * from "./scheduler.ts";
export * from "./sgd.ts";
