/** Looking at quantized models: what every module is and becomes, and where accuracy goes. */

export { explain } from "./explain.ts";
export type { Explanation, ModuleReport, QConfigReport } from "./explain.ts";
export { explanationText } from "./explain-text.ts";
export { stageOf, stages, stubSentence } from "./stage.ts";
export type { Stage } from "./stage.ts";
export type { WatcherReport } from "./watcher.ts";
export { compare, compareQConfigs } from "./compare.ts";
export type { Comparison, LayerComparison, SideBySide } from "./compare.ts";
export { comparisonText, sideBySideText } from "./compare-text.ts";
export type { ValueHistogram } from "./value-histogram.ts";
