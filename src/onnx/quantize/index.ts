/** Quantizing ONNX models: `quantizeOnnx`, its dry run, and the seams for runners, targets and passes. */

export type {
  ActivationOptions,
  Calibrating,
  CalibrationBatch,
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
export { decodeCalibration, encodeCalibration } from "./calibration-file.ts";
export { engineRunner } from "./engine-runner.ts";
export type { PassContext, QuantizePass } from "./passes.ts";
export { planQuantization, quantizeOnnx, quantizeOnnxFile } from "./quantize.ts";
export type { QuantizeResult } from "./quantize.ts";
export type { OperatorPlan, Precision, QuantizePlan, QuantizeReport } from "./report.ts";
export { targets } from "./targets.ts";
export type { OperatorKind, Target, TargetName } from "./targets.ts";
