/** What the dry run and the result say, as plain data: any of it may be printed as JSON. */

import type { QuantizeMethod, ObserverKind } from "./options.ts";

export type Precision = "int8" | "int16" | "int4" | "float";

/** One operator of the model. */
export interface OperatorPlan {
  /** Its name in the file, or its output's. */
  readonly name: string;
  /** ONNX type, such as `Conv`. */
  readonly operator: string;
  readonly precision: Precision;
  /** In a few words: why integers, or why float. */
  readonly why: string;
  /** Integers of the activations it reads (`uint8`), null where it reads floats. */
  readonly activations: string | null;
  /** Integers of its weight, `int8 per channel`; null without a weight, or when it stays float. */
  readonly weights: string | null;
  /** Bytes of its weight in the float model and after quantization. */
  readonly weightBytes: { readonly before: number; readonly after: number };
}

export interface QuantizePlan {
  readonly method: QuantizeMethod;
  readonly target: string;
  readonly observer: ObserverKind | null;
  readonly format: "qdq" | "qoperator";
  readonly operators: readonly OperatorPlan[];
  /** Operators by precision. */
  readonly counts: Readonly<Record<Precision, number>>;
  /** What a user should know before running it. */
  readonly warnings: readonly string[];
}

export interface QuantizeReport extends QuantizePlan {
  readonly runner: string | null;
  readonly batches: number;
  readonly samples: number;
  /** Size of the model: as given and as written. */
  readonly bytes: { readonly before: number; readonly after: number };
  readonly seconds: { readonly calibration: number; readonly total: number };
}
