/** `fewbit eval`: accuracy of a model on labelled data, and its distance from a reference model. */

import type { Command } from "commander";
import { DataError } from "../../errors.ts";
import type { Evaluation } from "../../report/index.ts";
import { addBackendOptions, addCommon, addDataOptions, addModelOptions, importOptions } from "../options.ts";
import type { BackendFlags, CommonFlags, DataFlags, ModelFlags } from "../options.ts";
import { table } from "../table.ts";
import { Terminal } from "../terminal.ts";
import { bytesText, grouped } from "../numbers-text.ts";

const EXAMPLES = `
Labels come from the data: an array called labels (--labels-key), a file (--labels), or the subfolders of images.

Examples:
  fewbit eval model.onnx --data test.safetensors --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  fewbit eval model.int8.onnx --data images/ --size 224 --shorter-side 256 --reference model.onnx
  fewbit eval model.onnx --data images/ --labels labels.csv --backend onnxruntime-node --json`;

interface Flags extends CommonFlags, ModelFlags, BackendFlags, DataFlags {
  readonly reference?: string;
}

export function percentText(share: number | null): string {
  return share === null ? "" : `${(100 * share).toFixed(2)} %`;
}

export function sqnrText(sqnr: number | null): string {
  if (sqnr === null) return "";
  return sqnr === Infinity ? "equal" : `${sqnr.toFixed(2)} dB`;
}

function row({ name, top1, top5, sqnr, samples, milliseconds }: Evaluation, bytes: number): string[] {
  const rate = (1000 * samples) / milliseconds;
  return [
    name,
    bytesText(bytes),
    percentText(top1),
    percentText(top5),
    sqnrText(sqnr),
    grouped(samples),
    grouped(Math.floor(rate)),
  ];
}

async function evaluateFiles(file: string, flags: Flags): Promise<void> {
  const [model, { openDataFor }, { openSession }, { evaluate }] = await Promise.all([
    import("../model.ts"),
    import("../data.ts"),
    import("../../onnx/backend/index.ts"),
    import("../../report/evaluate.ts"),
  ]);
  const terminal = new Terminal(flags);
  const files = [...(flags.reference === undefined ? [] : [flags.reference]), file];
  const modules = files.map((name) => model.loadModel(name, importOptions(flags)));
  const data = await openDataFor(model.inputSpecs(modules[0]!), flags);
  if (!data.source.hasLabels && flags.reference === undefined)
    throw new DataError(
      data.source.name,
      {},
      "the data has no labels to compare with",
      "Give --labels or --labels-key, or a model to compare with: --reference",
    );
  const models: { name: string; session: Awaited<ReturnType<typeof openSession>> }[] = [];
  for (const [i, name] of files.entries())
    models.push({ name, session: await openSession({ module: modules[i]!, file: name }, flags) });
  const progress = terminal.progress("evaluating", data.samples);
  const results = await evaluate(models, data.source, {
    ...data,
    onProgress: (samples) => progress.update(samples),
  }).finally(() => progress.stop());
  for (const { session } of models) await session.dispose();
  const { backend, threads } = models[0]!.session;
  terminal.result({ data: data.source.name, backend, threads, models: results }, () => {
    const rows = results.map((result, i) => row(result, model.modelBytes(modules[i]!)));
    const text = table(["model", "size", "top-1", "top-5", "SQNR", "samples", "samples/s"], rows);
    return `${text}\n\non ${backend}, ${threads} thread${threads > 1 ? "s" : ""}`;
  });
}

export function addEval(program: Command): void {
  const command = program
    .command("eval")
    .summary("accuracy on labelled data")
    .description(
      "Runs a model over data and counts right answers; with --reference also how far its outputs lie from another model's.",
    )
    .argument("<model.onnx>", "the file")
    .option("-r, --reference <model.onnx>", "a model to compare with, such as the float one");
  addDataOptions(command, { required: true });
  addCommon(addBackendOptions(addModelOptions(command)))
    .addHelpText("after", EXAMPLES)
    .action(evaluateFiles);
}
