/** Everything in one namespace each, for the single-file browser bundle. */
export * from "./index.ts";
export * as compile from "./compile/index.ts";
export * as data from "./data/index.ts";
export * as engine from "./engine/index.ts";
export * as graph from "./graph/index.ts";
export * as nn from "./nn/index.ts";
export * as optim from "./optim/index.ts";
export * as quantization from "./quantization/entry.ts";
