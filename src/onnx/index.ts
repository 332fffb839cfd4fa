/** ONNX files: import into graphs, export from them. */
import "../ops/index.ts";
import "./deferred.ts";

export { exportOnnx } from "./export.ts";
export type { ExportOptions } from "./export.ts";
export type { ByteSource, ExternalData } from "./external.ts";
export { importOnnx, opaqueOperators } from "./import.ts";
export type { ImportOptions } from "./import.ts";
export type { OnnxInfo } from "./info.ts";
export { inspectOnnx } from "./inspect.ts";
export type {
  InspectedEngine,
  InspectedOperator,
  InspectedParameters,
  InspectedQuantization,
  InspectedValue,
  OnnxInspection,
} from "./inspect.ts";
export { writeOnnx } from "./write.ts";
export type { WriteOptions } from "./write.ts";
