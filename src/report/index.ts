/** Looking at quantized models: what every module is and becomes, and where accuracy goes. */

export { explain } from "./explain.ts";
export type { Explanation, ModuleReport, QConfigReport } from "./explain.ts";
export { explanationText } from "./explain-text.ts";
export { stageOf, stages, stubSentence } from "./stage.ts";
export type { Stage } from "./stage.ts";
export type { WatcherReport } from "./watcher.ts";
export { compare, compareQConfigs, compareStream } from "./compare/compare.ts";
export type { Both, Comparison, SideBySide } from "./compare/compare.ts";
export type { LayerComparison, UnmatchedLayer } from "./compare/rows.ts";
export type { LayerMeasures } from "./compare/tally.ts";
export { comparisonText, histogramText, sideBySideText } from "./compare/text.ts";
export type { ValueHistogram } from "./compare/value-histogram.ts";
export { evaluate } from "./evaluate.ts";
export type { EvaluateOptions, Evaluation } from "./evaluate.ts";
export { measureLatency } from "./latency.ts";
export type { Latency, LatencyOptions } from "./latency.ts";
