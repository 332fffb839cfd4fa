/**
 * What `explain` and `doctor` look at: an ONNX file, or a module of the user's program.
 *
 * The program exports the model as `model` or default (the module itself, its class, or a function that makes it), and
 * optionally `exampleInputs`. A qconfig is set where the command line asks for one.
 */

import path from "node:path";
import { importModule } from "../data/files/module-source.ts";
import { DataError, ModuleError } from "../errors.ts";
import { Module } from "../nn/index.ts";
import type { AnyModule } from "../nn/module.ts";
import { getDefaultQConfig, getDefaultQatQConfig } from "../quantization/entry.ts";
import { zeros } from "../tensor/create.ts";
import { isDType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { loadModel } from "./model.ts";
import { UsageError } from "./usage.ts";

export interface SubjectFlags {
  readonly input?: readonly string[];
  readonly export?: string;
  readonly qconfig?: string;
  readonly flow?: "static" | "qat";
  readonly fx?: boolean;
}

export interface Subject {
  readonly model: AnyModule;
  /** All that the program exports; nothing for an ONNX file. */
  readonly exports: Readonly<Record<string, unknown>>;
  readonly exampleInputs: readonly unknown[] | null;
}

/** `1,3,32,32` or `int64[1,128]`: a tensor of zeros. */
export function exampleOf(text: string): Tensor {
  const found = /^(?:(\w+)\[([\d,\s]*)\]|([\d,\sx]+))$/.exec(text.trim());
  const dtype = found?.[1] ?? "float32";
  const sizes = (found?.[2] ?? found?.[3] ?? "").split(/[,x]/).map((part) => Number(part.trim()));
  if (!found || !isDType(dtype) || !sizes.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new UsageError(`--input ${text}: give the sizes of a tensor, such as 1,3,32,32 or int64[1,128]`);
  return zeros(sizes, { dtype });
}

type Maker = (() => unknown) | (new () => unknown);

/** The model an export stands for. */
async function made(file: string, name: string, exported: unknown): Promise<AnyModule> {
  const isClass = typeof exported === "function" && exported.prototype instanceof Module;
  const value = isClass
    ? new (exported as new () => unknown)()
    : typeof exported === "function"
      ? await (exported as () => unknown)()
      : await exported;
  if (value instanceof Module) return value as AnyModule;
  throw new ModuleError(
    file,
    { export: name, given: value === null ? "null" : typeof value },
    "the export must be a Module, its class, or a function that makes one",
    'Import Module from "fewbit/nn", of the same installation as this command',
  );
}

async function fromProgram(file: string, flags: SubjectFlags): Promise<Subject> {
  const exports = await importModule(file);
  const wanted = flags.export ?? ["model", "default"].find((name) => name in exports);
  const modules = Object.keys(exports).filter((name) => exports[name] instanceof Module);
  const name = wanted ?? (modules.length === 1 ? modules[0]! : undefined);
  if (name === undefined || !(name in exports))
    throw new ModuleError(
      file,
      { exports: Object.keys(exports) },
      wanted === undefined ? "the program exports no model" : `the program has no export ${wanted}`,
      "Export the model as `model` or default, or name the export: --export",
    );
  const model = await made(file, name, exports[name]);
  const example = exports["exampleInputs"];
  const given: unknown = typeof example === "function" ? await (example as Maker & (() => unknown))() : example;
  if (given !== undefined && !Array.isArray(given))
    throw new DataError(file, {}, "exampleInputs must be a list: the arguments of forward");
  return { model, exports, exampleInputs: (given as unknown[] | undefined) ?? null };
}

/** Gives the whole model a qconfig. @throws ArgumentError for unknown backends. */
function setQConfig(model: AnyModule, backend: string, flow: SubjectFlags["flow"]): void {
  model.qconfig = flow === "qat" ? getDefaultQatQConfig(backend as "x86") : getDefaultQConfig(backend as "x86");
}

/** @throws ModuleError when a program exports no model; UsageError for shapes that are none. */
export async function loadSubject(file: string, flags: SubjectFlags): Promise<Subject> {
  const isOnnx = path.extname(file).toLowerCase() === ".onnx";
  const found = isOnnx ? { model: loadModel(file), exports: {}, exampleInputs: null } : await fromProgram(file, flags);
  const exampleInputs = flags.input ? flags.input.map(exampleOf) : found.exampleInputs;
  // FX takes its settings from a mapping, not from the modules.
  if (flags.qconfig !== undefined && !flags.fx) setQConfig(found.model, flags.qconfig, flags.flow);
  return { ...found, exampleInputs };
}
