/** Data in and out: datasets, loaders, safetensors, npy and npz. */
export * from "./loader.ts";
export * from "./npy.ts";
export * from "./safetensors.ts";
export * from "./part.ts";
export * from "./preprocess.ts";
export * from "./source.ts";
export * from "./shuffle.ts";
