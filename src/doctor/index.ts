/** Checking a model before it is quantized, and making it ready. */

export { placeStubs } from "./place/place-stubs.ts";
export type { PlaceStubsOptions, PlacedModel } from "./place/place-stubs.ts";
export { editsSummary, editsText } from "./place/edits.ts";
export type { Edit, EditKind } from "./place/edits.ts";
export { FunctionalCall } from "./place/functional-call.ts";
export { PlacedModule } from "./place/placed-module.ts";
export { doctor, doctorExitCode, findingsText } from "./doctor.ts";
export type { DoctorOptions, FxRequest } from "./doctor.ts";
export type { Finding, Target } from "./finding.ts";
