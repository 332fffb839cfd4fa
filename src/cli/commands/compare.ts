/** `fewbit compare`: where a quantized model departs from the float one, operator by operator. */

import type { Command } from "commander";
import type { DataSource } from "../../data/index.ts";
import type { Comparison } from "../../report/index.ts";
import type { OpenedData } from "../data.ts";
import { addCommon, addDataOptions, addModelOptions, importOptions } from "../options.ts";
import type { CommonFlags, DataFlags, ModelFlags } from "../options.ts";
import { Terminal } from "../terminal.ts";
import { grouped } from "../numbers-text.ts";
import type { Progress } from "../terminal.ts";

const EXAMPLES = `
Worst first, by the error an operator makes itself, relative to its signal. "made here" is what the operator adds to the
error, "inherited" what came in wrong; clipped values lie outside what the integers can express.

Examples:
  fewbit compare model.onnx model.int8.onnx --data test.safetensors
  fewbit compare model.onnx a.int8.onnx --with b.int8.onnx --data images/   (two quantizations side by side)
  fewbit compare model.onnx model.int8.onnx --data images/ --json > layers.json`;

/** The reference interpreter runs both models: this many samples say enough. */
const DEFAULT_SAMPLES = 64;

interface Flags extends CommonFlags, ModelFlags, DataFlags {
  readonly with?: string;
}

async function* batchesOf(
  { source, batchSize, limit }: OpenedData,
  progress: Progress,
): AsyncGenerator<readonly unknown[]> {
  let samples = 0;
  for await (const batch of source.batches({ batchSize, ...(limit !== undefined && { limit }) })) {
    yield batch.inputs;
    progress.update((samples += batch.samples));
  }
}

function footer(source: DataSource, samples: number | undefined): string {
  return `${samples === undefined ? "all" : `the first ${grouped(samples)}`} samples of ${source.name}`;
}

async function compareFiles(floatFile: string, quantizedFile: string, flags: Flags): Promise<void> {
  const [model, { openDataFor }, report] = await Promise.all([
    import("../model.ts"),
    import("../data.ts"),
    import("../../report/index.ts"),
  ]);
  const terminal = new Terminal(flags);
  const float = model.loadModel(floatFile, importOptions(flags));
  const files = [quantizedFile, ...(flags.with === undefined ? [] : [flags.with])];
  const quantized = files.map((file) => model.loadModel(file, importOptions(flags)));
  const data = await openDataFor(model.inputSpecs(float), { ...flags, samples: flags.samples ?? DEFAULT_SAMPLES });
  const results: Comparison[] = [];
  for (const module of quantized) {
    const progress = terminal.progress("comparing", data.samples);
    const stream = batchesOf(data, progress);
    results.push(await report.compareStream(float, module, stream).finally(() => progress.stop()));
  }
  const [first, second] = results;
  const foot = footer(data.source, data.samples ?? data.limit);
  if (!second) {
    terminal.result(
      { float: floatFile, quantized: quantizedFile, ...first! },
      () => `${report.comparisonText(first!)}\n\n${foot}`,
    );
    return;
  }
  const rows = report.compareQConfigs(first!, second);
  const names = files as [string, string];
  terminal.result(
    { float: floatFile, quantized: files, rows },
    () => `${report.sideBySideText(rows, names)}\n\n${foot}`,
  );
}

export function addCompare(program: Command): void {
  const command = program
    .command("compare")
    .summary("where a quantized model departs from the float one")
    .description("Runs both models on the same data and compares every operator's output.")
    .argument("<float.onnx>", "the float model")
    .argument("<quantized.onnx>", "the quantized one")
    .option("--with <other.onnx>", "a second quantized model, to be put beside the first");
  addDataOptions(command, { required: true });
  addCommon(addModelOptions(command)).addHelpText("after", EXAMPLES).action(compareFiles);
}
