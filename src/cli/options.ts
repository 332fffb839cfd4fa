/** Options that several commands share, and the reading of their values. */

import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import type { DataOptions } from "../data/files/index.ts";
import type { ImportOptions } from "../onnx/index.ts";
import { backendNames } from "../onnx/backend/backend.ts";
import type { BackendName } from "../onnx/backend/backend.ts";

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError("It must be a whole number from 1 on.");
  return value;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("It must be a whole number from 0 on.");
  return value;
}

/** A number, or a fraction such as 1/255. */
export function fraction(text: string): number {
  const [over, under = "1", ...rest] = text.split("/");
  const value = Number(over) / Number(under);
  if (rest.length > 0 || over?.trim() === "" || under.trim() === "" || !Number.isFinite(value))
    throw new InvalidArgumentError("It must be a number or a fraction such as 1/255.");
  return value;
}

export function numbers(text: string): number[] {
  return text.split(",").map((part) => fraction(part.trim()));
}

function pair(text: string): [number, number] {
  const list = text.split(/,|\.\.(?!\.)/).map((part) => fraction(part.trim()));
  if (list.length !== 2) throw new InvalidArgumentError("It must be two numbers, such as -1,1.");
  return [list[0]!, list[1]!];
}

function imageSize(text: string): [number, number] {
  const [width, height = width, ...rest] = text.toLowerCase().split(/[x,]/).map(Number);
  const sound = (size: number | undefined): size is number => Number.isSafeInteger(size) && size! > 0;
  if (rest.length > 0 || !sound(width) || !sound(height))
    throw new InvalidArgumentError("It must be a size in pixels: 224, or 320x240 (width x height).");
  return [width, height];
}

type Keys = Record<string, string>;

function named(text: string, before: Keys | string | undefined): Keys | string {
  const at = text.indexOf("=");
  if (at < 0) return text;
  return { ...(typeof before === "object" && before), [text.slice(0, at)]: text.slice(at + 1) };
}

type Shapes = Record<string, number[]>;

/** `name=1,3,224,224`. */
function namedShape(text: string, before: Shapes | undefined): Shapes {
  const at = text.lastIndexOf("=");
  const shape = text
    .slice(at + 1)
    .split(/[x,]/)
    .map(Number);
  if (at < 1 || !shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw new InvalidArgumentError("It must be an input's name and its sizes, such as input=1,3,224,224.");
  return { ...before, [text.slice(0, at)]: shape };
}

type Sizes = Record<string, number>;

/** `name=1`. */
function namedSize(text: string, before: Sizes | undefined): Sizes {
  const at = text.lastIndexOf("=");
  const size = Number(text.slice(at + 1));
  if (at < 1 || !Number.isSafeInteger(size) || size < 1)
    throw new InvalidArgumentError("It must be the name of an open size and a number, such as height=224.");
  return { ...before, [text.slice(0, at)]: size };
}

export function repeated(text: string, before: string[] = []): string[] {
  return [...before, text];
}

export function list(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(",").filter((part) => part !== "")];
}

export interface CommonFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** --json and --quiet. */
export function addCommon(command: Command): Command {
  return command
    .option("--json", "print the result as JSON on stdout, and nothing else there")
    .option("-q, --quiet", "no progress");
}

export interface ModelFlags {
  readonly inputShape?: Shapes;
  readonly dim?: Sizes;
}

/** Sizes that a model leaves open. */
export function addModelOptions(command: Command): Command {
  return command
    .option(
      "--input-shape <name=sizes>",
      "shape of an input, where the file leaves it open (repeat for more)",
      namedShape,
    )
    .option("--dim <name=size>", "value of a size that the file gives a name (repeat for more)", namedSize);
}

export function importOptions({ inputShape, dim }: ModelFlags): ImportOptions {
  return { ...(inputShape && { inputShapes: inputShape }), ...(dim && { dims: dim }) };
}

export interface BackendFlags {
  readonly backend: BackendName;
  readonly threads?: number;
}

export function addBackendOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--backend <name>", "who computes; the onnxruntimes must be installed beside fewbit")
        .choices([...backendNames])
        .default("fewbit"),
    )
    .option("--threads <count>", "threads to compute with (default: one a processor)", positiveInteger);
}

export interface DataFlags extends DataOptions {
  readonly data?: string;
  readonly samples?: number;
  readonly skip?: number;
  readonly batch: number;
  readonly seed?: number;
  readonly inputKey?: Keys | string;
}

const DEFAULT_BATCH = 16;

/** Where data is and how it becomes inputs. */
export function addDataOptions(command: Command, { required }: { required: boolean }): Command {
  const data = new Option(
    "-d, --data <path>",
    ".npy, .npz or .safetensors file, folder of images or .npy files, or a module that exports batches",
  );
  return command
    .addOption(required ? data.makeOptionMandatory() : data)
    .option("-n, --samples <count>", "use the first samples only", positiveInteger)
    .option("--skip <count>", "leave the first samples out", wholeNumber)
    .option("-b, --batch <size>", "samples at a time", positiveInteger, DEFAULT_BATCH)
    .option("--input-key <key>", "array to read from the file; name=key for a model with several inputs", named)
    .option("--labels <file>", "classes: a .npy file, or lines 'image class' for a folder of images")
    .option("--labels-key <key>", "array of classes in the data file")
    .option("--mean <numbers>", "subtracted from pixels, one number a channel: 0.485,0.456,0.406", numbers)
    .option("--std <numbers>", "what pixels are divided by then: 0.229,0.224,0.225", numbers)
    .option("--scale <number>", "what stored values are multiplied with first (default: 1/255 for bytes)", fraction)
    .option("--range <low,high>", "instead of --scale: what bytes 0..255 become, such as -1,1", pair)
    .addOption(new Option("--layout <order>", "where the model has its channels").choices(["nchw", "nhwc"]))
    .addOption(new Option("--data-layout <order>", "where the file has its channels").choices(["nchw", "nhwc"]))
    .addOption(new Option("--channels <order>", "order of the colours the model takes").choices(["rgb", "bgr"]))
    .option("--size <width>x<height>", "images: size to bring them to (default: the model's)", imageSize)
    .addOption(
      new Option("--resize <how>", "images: crop the middle, stretch, or pad with black").choices([
        "crop",
        "stretch",
        "pad",
      ]),
    )
    .option(
      "--shorter-side <pixels>",
      "images: bring the shorter side to this before the middle is cut out",
      positiveInteger,
    )
    .addOption(
      new Option("--kernel <name>", "images: interpolation").choices(["nearest", "linear", "cubic", "lanczos3"]),
    );
}

/** The part of the flags that says how to read data. */
export function dataOptions(flags: DataFlags): DataOptions {
  const { inputKey } = flags;
  return { ...flags, ...(inputKey !== undefined && { inputKeys: inputKey }) };
}
