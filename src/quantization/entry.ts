/**
 * The `fewbit/quantization` subpath: numerics, observers, fake-quantize and qconfigs, the stubs and functionals a
 * model is written with, and the eager flow.
 */
export * from "./index.ts";
export * from "./eager/index.ts";
