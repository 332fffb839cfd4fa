/**
 * Targets: for each place a model may run, the integers that are fast and exact there, and the operators that run in
 * integers. A target is data; a new one is a row.
 */

export type TargetName = "wasm" | "onnxruntime-cpu" | "onnxruntime-web" | "qnnpack";

/** Integers of activations and weights. */
export interface TargetIntegers {
  readonly activations: { readonly signed: boolean; readonly symmetric: boolean };
  readonly weights: { readonly perChannel: boolean; readonly symmetric: boolean };
}

export interface Target extends TargetIntegers {
  readonly name: string;
  /** In one sentence: where it runs and why these integers. */
  readonly why: string;
}
