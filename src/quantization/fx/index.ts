/** FX graph mode quantization: settings by module and operator, a backend's abilities as data. */

export * from "./backend-config.ts";
export * from "./backends.ts";
export { ConvertCustomConfig, FuseCustomConfig, PrepareCustomConfig } from "./custom-config.ts";
export type { ObservedClass, QuantizedClass, StandaloneModuleConfigEntry } from "./custom-config.ts";
export * from "./default-mappings.ts";
export { InputEqualizationObserver } from "./equalization.ts";
export { fuseFx } from "./fuse.ts";
export { prepareFx, prepareQatFx } from "./prepare.ts";
export type { PrepareFxOptions, PrepareQatFxOptions } from "./prepare.ts";
export { freezeBnStats, updateBnStats } from "./qat.ts";
export { QConfigMapping } from "./qconfig-mapping.ts";
export type { MappedQConfig, ObjectTypeOrder, QConfigDict } from "./qconfig-mapping.ts";
export { ObservedGraphModule } from "./state.ts";
export { symbolicTrace } from "./trace.ts";
export { convertFx, convertToReferenceFx } from "./convert.ts";
export type { ConvertFxOptions, InputQParams } from "./convert.ts";
export type { OnUnsupported, UnsupportedKind, UnsupportedSetting } from "./unsupported.ts";
