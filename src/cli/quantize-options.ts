/** The flags of `quantize` as the library's options. */

import { Option } from "commander";
import type { Command } from "commander";
import type { ObserverKind, QuantizeMethod, QuantizeOptions, TargetName } from "../onnx/quantize/index.ts";
import { fraction, importOptions, list, positiveInteger } from "./options.ts";
import type { ModelFlags } from "./options.ts";
import { UsageError } from "./usage.ts";

export interface QuantizeFlags extends ModelFlags {
  readonly method: string;
  readonly observer?: string;
  readonly percentile?: number;
  readonly target?: TargetName;
  readonly activationBits?: 8 | 16;
  readonly activationSymmetric?: boolean;
  readonly activationSigned?: boolean;
  readonly weightBits?: 8 | 4;
  readonly perTensor?: boolean;
  readonly weightAsymmetric?: boolean;
  readonly groupSize?: number;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly crossLayerEqualization?: boolean;
  readonly biasCorrection?: boolean;
  readonly format?: "qdq" | "qoperator";
  readonly opset?: number;
}

const methods: Readonly<Record<string, QuantizeMethod>> = {
  static: "static",
  dynamic: "dynamic",
  "weight-only": "weightOnly",
};

const observers: Readonly<Record<string, ObserverKind>> = {
  "min-max": "minMax",
  "moving-average": "movingAverage",
  "histogram-l2": "histogramL2",
  percentile: "percentile",
  entropy: "entropy",
  mse: "mse",
};

/** Names as the command line spells them, and as the library does. */
function oneOf<T extends string>(table: Readonly<Record<string, T>>): (text: string) => string {
  return (text) => {
    const known = Object.keys(table);
    const found = known.find((name) => name === text || table[name] === text);
    if (found === undefined) throw new UsageError(`there is no ${text}: choose from ${known.join(", ")}`);
    return found;
  };
}

/** `re:^block[0-3]` is a regular expression; anything else a type, a name or a glob, as the library takes it. */
function selector(text: string): string | RegExp {
  if (!text.startsWith("re:")) return text;
  try {
    return new RegExp(text.slice(3));
  } catch (cause) {
    throw new UsageError(`${text} is no regular expression: ${(cause as Error).message}`);
  }
}

export function addQuantizeOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "-m, --method <name>",
        "static: integers throughout, needs data; dynamic: ranges taken at every run; weight-only: smaller file, float arithmetic",
      )
        .choices(Object.keys(methods))
        .default("static")
        .argParser(oneOf(methods)),
    )
    .option(
      "-t, --target <name>",
      "where it will run: wasm (default), onnxruntime-cpu, onnxruntime-avx2, onnxruntime-web, qnnpack, ...",
    )
    .addOption(
      new Option("--observer <name>", "how ranges of activations are found (default: mse)")
        .choices(Object.keys(observers))
        .argParser(oneOf(observers)),
    )
    .option("--percentile <part>", "for the observer percentile: part of the values kept (default: 0.99999)", fraction)
    .addOption(new Option("--activation-bits <bits>", "bits of activations").choices(["8", "16"]).argParser(Number))
    .option("--activation-symmetric", "zero in the middle of activations' ranges")
    .option("--activation-signed", "signed integers for activations")
    .addOption(new Option("--weight-bits <bits>", "bits of weights").choices(["8", "4"]).argParser(Number))
    .option("--per-tensor", "one scale for a whole weight, instead of one a channel")
    .option("--weight-asymmetric", "weights with a zero point")
    .option("--group-size <count>", "weight-only: input channels that share a scale", positiveInteger)
    .option("--include <names>", "only these operators: types, names, globs such as '/encoder/*', or re:pattern", list)
    .option("--exclude <names>", "never these operators", list)
    .option("--cross-layer-equalization", "even out the ranges of channels between layers first")
    .option("--bias-correction", "correct what rounding does to each channel's mean (default for static)")
    .option("--no-bias-correction", "leave biases as they are")
    .addOption(new Option("--format <form>", "how integers are written").choices(["qdq", "qoperator"]).default("qdq"))
    .option("--opset <version>", "opset of the file (default: the oldest that has what is needed)", positiveInteger);
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

export function quantizeOptions(flags: QuantizeFlags): QuantizeOptions {
  const { observer, activationBits, weightBits, groupSize } = flags;
  return defined({
    method: methods[flags.method]!,
    target: flags.target,
    observer: observer === undefined ? undefined : observers[observer],
    percentile: flags.percentile,
    activations: defined({
      bits: activationBits,
      symmetric: flags.activationSymmetric,
      signed: flags.activationSigned,
    }),
    weights: defined({
      bits: weightBits,
      perChannel: flags.perTensor === true ? false : undefined,
      symmetric: flags.weightAsymmetric === true ? false : undefined,
      groupSize,
    }),
    include: flags.include?.map(selector),
    exclude: flags.exclude?.map(selector),
    crossLayerEqualization: flags.crossLayerEqualization,
    biasCorrection: flags.biasCorrection,
    format: flags.format,
    opset: flags.opset,
    import: importOptions(flags),
  });
}
