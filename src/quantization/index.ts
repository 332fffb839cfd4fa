/** Observers, fake-quantizes, qconfigs and stubs: what all quantization modes share. */

export * from "./factory.ts";
export * from "./fake-quantize/index.ts";
export * from "./observers/index.ts";
export * from "./qconfig-defaults.ts";
export * from "./qconfig.ts";
export * from "./stubs.ts";
