/**
 * Reads golden/programs: models with their weights and batches, and cases with their programs, tensors decoded.
 * The format is described in golden/programs/README.md.
 */

import { readdirSync, readFileSync } from "node:fs";
import type { AnyModule } from "../../../src/nn/index.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { decode } from "../load.ts";
import type { Fields, Value } from "../load.ts";
import { models } from "./models.ts";

export type Mode = "fx" | "pt2e" | "qat" | "quantize";

/** dtype, shape and qparams of a node's value for the test input; `sum` adds up its integers. */
export interface NodeValue {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly scale?: number;
  readonly zeroPoint?: number;
  readonly sum?: number;
}

export interface ProgramNode {
  readonly name: string;
  readonly kind: string;
  /** Neutral operator name: conv2d, quantized.conv2d_relu, quantize_per_tensor, observer, constant, input ... */
  readonly op: string;
  /** PyTorch's own spelling. */
  readonly type?: string;
  readonly module?: string;
  /** State-dict name of a constant. */
  readonly attr?: string;
  readonly inputs: readonly string[];
  /** By argument name; "%x" stands for a node. */
  readonly args?: Fields;
  readonly out?: NodeValue;
  readonly weight?: Fields;
  /** Row of `observers`. */
  readonly observer?: number;
}

/** One observer or fake-quantize instance; several sites are one sharing group. */
export interface ProgramObserver {
  readonly id: number;
  readonly class: string;
  readonly dtype?: string;
  readonly qscheme?: string;
  readonly quantMin?: number;
  readonly quantMax?: number;
  readonly sites: readonly { readonly node: string; readonly after: string }[];
  readonly statistics: { readonly minVal?: Value; readonly maxVal?: Value; readonly scale?: Value; readonly zeroPoint?: Value };
}

export interface Program {
  readonly counts: Readonly<Record<string, number>>;
  readonly nodes: readonly ProgramNode[];
  readonly observers?: readonly ProgramObserver[];
  readonly constants?: Fields;
  readonly output?: Value;
  readonly integerOutputs?: Readonly<Record<string, Tensor>>;
  readonly children?: Readonly<Record<string, Program>>;
  readonly qconfigs?: { readonly distinct: readonly Fields[]; readonly nodes: Readonly<Record<string, number | null>> };
}

/** The recipe of a case: model, engine or quantizer, mapping and configs, as data. */
export interface Recipe extends Fields {
  readonly name: string;
  readonly mode: string;
  readonly model: string;
}

export interface ProgramCase {
  readonly case: Recipe;
  /** FX: prepared, reference, lowered. PT2E: exported, prepared, converted. */
  readonly programs: Readonly<Record<string, Program>>;
  /** The exception class PyTorch refuses the case with. */
  readonly throws?: string;
  /** Everything else: losses, training batches, trained state, quantized test inputs. */
  readonly rest: Fields;
}

export interface GoldenModel {
  readonly model: AnyModule;
  readonly calibration: readonly (readonly Tensor[])[];
  readonly test: readonly Tensor[];
  readonly floatOutput: Value;
}

const root = new URL("../../../golden/programs/", import.meta.url);

function read(path: string): Record<string, Value> {
  return decode(JSON.parse(readFileSync(new URL(path, root), "utf8"))) as Record<string, Value>;
}

function batch(value: Value): readonly Tensor[] {
  return (value as { readonly inputs: readonly Tensor[] }).inputs;
}

/** A fresh float model in eval mode with PyTorch's weights, and its batches. */
export function loadModel(id: string): GoldenModel {
  const build = models[id];
  if (!build) throw new Error(`the golden programs have no TypeScript twin of the model ${id}`);
  const file = read(`models/${id}.json`);
  const model = build();
  model.loadStateDict(new Map(Object.entries(file["state"] as Record<string, Tensor>)));
  model.eval();
  return {
    model,
    calibration: (file["calibration"] as readonly Value[]).map(batch),
    test: batch(file["test"]!),
    floatOutput: file["floatOutput"]!,
  };
}

/** Names of the cases of a mode, in alphabetical order. */
export function caseNames(mode: Mode): string[] {
  return readdirSync(new URL(`${mode}/`, root)).map((file) => file.replace(/\.json$/, "")).sort();
}

const PROGRAMS = ["exported", "prepared", "reference", "lowered", "converted"];

export function loadCase(mode: Mode, name: string): ProgramCase {
  const file = read(`${mode}/${name}.json`);
  const entries = Object.entries(file).filter(([key]) => key !== "header" && key !== "case" && key !== "throws");
  const pick = (wanted: boolean) => Object.fromEntries(entries.filter(([key]) => PROGRAMS.includes(key) === wanted));
  return {
    case: file["case"] as Recipe,
    programs: pick(true) as unknown as Record<string, Program>,
    ...(typeof file["throws"] === "string" && { throws: file["throws"] }),
    rest: pick(false),
  };
}
