/** The engine's public names: the `fewbit/engine` subpath. */

export { Engine, defaultEngine } from "./engine.ts";
export type { EngineOptions } from "./engine.ts";
export type { BuildName } from "./loader.ts";
export { EngineMemory } from "./memory.ts";
export type { DotClass } from "./probe.ts";
