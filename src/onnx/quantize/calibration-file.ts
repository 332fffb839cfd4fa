/** Saved calibrations as safetensors files: one tensor for each number of each observer, the rest in the metadata. */

import { FileFormatError } from "../../errors.ts";
import { readSafetensors, writeSafetensors } from "../../data/safetensors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { CalibrationState } from "./options.ts";

const FORMAT = "fewbit-calibration-1";
/** Between an observer's name and the name of one of its numbers. */
const SEPARATOR = "/";

/** The bytes of a saved calibration. */
export function encodeCalibration({ fingerprint, batches, samples, observers }: CalibrationState): Uint8Array {
  const tensors = new Map<string, Tensor>();
  for (const [name, state] of observers)
    for (const [key, tensor] of state) tensors.set(`${name}${SEPARATOR}${key}`, tensor);
  return writeSafetensors(tensors, {
    format: FORMAT,
    fingerprint,
    batches: String(batches),
    samples: String(samples),
  });
}

/** @throws FileFormatError for bytes that `encodeCalibration` did not make. */
export function decodeCalibration(bytes: Uint8Array): CalibrationState {
  const { tensors, metadata } = readSafetensors(bytes);
  const [batches, samples] = [Number(metadata["batches"]), Number(metadata["samples"])];
  if (metadata["format"] !== FORMAT || !Number.isSafeInteger(batches) || !Number.isSafeInteger(samples))
    throw new FileFormatError(
      "calibration file",
      { format: metadata["format"] ?? null, expected: FORMAT },
      "the file is no saved calibration of this version",
    );
  const observers = new Map<string, Map<string, Tensor>>();
  for (const [path, tensor] of tensors) {
    const at = path.lastIndexOf(SEPARATOR);
    const name = path.slice(0, at);
    const state = observers.get(name) ?? new Map<string, Tensor>();
    state.set(path.slice(at + 1), tensor);
    observers.set(name, state);
  }
  return { fingerprint: metadata["fingerprint"] ?? "", batches, samples, observers };
}
