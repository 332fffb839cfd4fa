/** Quantizing ONNX models: `quantizeOnnx`, its dry run, and the seams for runners, targets and passes. */

export type {
  ActivationOptions,
  Calibrating,
  CalibrationData,
  CalibrationJob,
  CalibrationRunner,
  CalibrationState,
  NamedInputs,
  ObserverKind,
  OnnxSource,
  QuantizeMethod,
  QuantizeOptions,
  QuantizeProgress,
  Selector,
  Tap,
  WeightOptions,
} from "./options.ts";
export type { PassContext, QuantizePass } from "./passes.ts";
export { planQuantization, quantizeOnnx } from "./quantize.ts";
export type { QuantizeResult } from "./quantize.ts";
export type { OperatorPlan, Precision, QuantizePlan, QuantizeReport } from "./report.ts";
export type { Target, TargetIntegers, TargetName } from "./targets.ts";
