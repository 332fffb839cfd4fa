/** PT2E: quantizing captured graphs by annotation. */
export {
  QuantizationAnnotation,
  annotate,
  annotateInputQspecMap,
  annotateOutputQspec,
  annotationOf,
} from "./annotation.ts";
export { convertPt2e } from "./convert-pt2e.ts";
export type { ConvertPt2eOptions } from "./convert-pt2e.ts";
export { correctBias } from "./correct-bias.ts";
export { DerivedObserverOrFakeQuantize } from "./derived.ts";
export { DuplicateDQPass } from "./duplicate-dequantize.ts";
export { EmbeddingQuantizer } from "./embedding-quantizer.ts";
export { getModuleNameFilter, getModuleTypeFilter } from "./filters.ts";
export { findSequentialPartitions } from "./partitions.ts";
export { allowExportedModelTrainEval, moveExportedModelToEval, moveExportedModelToTrain } from "./mode.ts";
export { PortNodeMetaForQDQ } from "./port-node-meta.ts";
export { preparePt2e, prepareQatPt2e } from "./prepare.ts";
export { getBiasQspec, getInputActQspec, getOutputActQspec, getWeightQspec } from "./quantization-config.ts";
export type { QuantizationConfig } from "./quantization-config.ts";
export { ComposableQuantizer, Quantizer } from "./quantizer.ts";
export { getRecommendedQuantizationConfig } from "./recommended.ts";
export { convertScalarsToAttributes } from "./scalars.ts";
export { propagateAnnotation } from "./sharing-ops.ts";
export {
  DerivedQuantizationSpec,
  FixedQParamsQuantizationSpec,
  QuantizationSpec,
  SharedQuantizationSpec,
} from "./spec.ts";
export type { EdgeOrNode, QSpec } from "./spec.ts";
export { X86Quantizer, getDefaultX86QuantizationConfig, getX86LinearDynamicFp16Config } from "./x86-quantizer.ts";
export { XnnpackQuantizer, getSymmetricQuantizationConfig } from "./xnnpack-quantizer.ts";
