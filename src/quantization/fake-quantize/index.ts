/** Fake-quantize modules, their named constructors and their switches. */

export * from "./base.ts";
export * from "./fixed.ts";
export * from "./fused.ts";
export * from "./learnable.ts";
export * from "./named.ts";
export * from "./switches.ts";
