/** Eager mode: quantizing a model by swapping its modules. */

export * from "../../nn/float-functional.ts";
export { QFunctional } from "../../nn/quantized/functional-modules.ts";
export type { FromFloatOptions } from "../../nn/quantized/observed.ts";
export type { ConvertTools, PrepareTools } from "../../nn/quantizable/tools.ts";
export { freezeBnStats, updateBnStats } from "../../nn/intrinsic/qat/conv-bn.ts";
export { getObserverStateDict, loadObserverStateDict } from "../observers/state.ts";
export { convert, swapModule } from "./convert.ts";
export type { ConvertOptions } from "./convert.ts";
export * from "./fuse.ts";
export * from "./fuser-methods.ts";
export * from "./mappings.ts";
export * from "./modules.ts";
export { prepare, prepareQat } from "./prepare.ts";
export type { PrepareOptions, PrepareQatOptions } from "./prepare.ts";
export * from "./propagate.ts";
export * from "./quantize.ts";
export type { CustomConfig, FromFloat, ModuleClass, ModuleMapping, ObservedClass, QuantizedClass } from "./types.ts";
export * from "../stubs.ts";
export * from "./wrap.ts";
