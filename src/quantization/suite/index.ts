/** Tools that compare a quantized model with its float one, and that make up for the difference. */

export * from "./bias-correction.ts";
export * from "./equalize.ts";
export * from "./loggers.ts";
export * from "./metrics.ts";
export * from "./outputs.ts";
export * from "./shadow.ts";
export * from "./weights.ts";
export * from "./graph-shadows.ts";
export {
  addLoggers,
  extendLoggerResultsWithComparison,
  extractLoggerInfo,
  extractWeights,
  printComparisons,
} from "./graph-suite.ts";
export type { SuiteEntry, SuiteResults } from "./graph-suite.ts";
export * from "./numeric-debugger.ts";
export {
  NodeOutputLogger,
  OutputComparisonLogger,
  loggersSetEnabled,
  loggersSetSaveActivations,
} from "./node-loggers.ts";
export type { Comparison, LoggedNode } from "./node-loggers.ts";
export * from "./n-shadows.ts";
export * from "./qconfig-multi-mapping.ts";
