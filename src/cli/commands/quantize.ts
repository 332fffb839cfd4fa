/** `fewbit quantize`: a float ONNX file in, a quantized one out, checked against the float one. */

import path from "node:path";
import type { Command } from "commander";
import type { GraphModule } from "../../graph/index.ts";
import type { CalibrationData, QuantizePlan, QuantizeReport, QuantizeResult } from "../../onnx/quantize/index.ts";
import type { BackendName } from "../../onnx/backend/index.ts";
import type { Evaluation, Latency } from "../../report/index.ts";
import type { OpenedData } from "../data.ts";
import {
  addBackendOptions,
  addCommon,
  addDataOptions,
  addModelOptions,
  positiveInteger,
  wholeNumber,
} from "../options.ts";
import type { BackendFlags, CommonFlags, DataFlags } from "../options.ts";
import { addQuantizeOptions, quantizeOptions } from "../quantize-options.ts";
import type { QuantizeFlags } from "../quantize-options.ts";
import { table } from "../table.ts";
import { Terminal } from "../terminal.ts";
import { bytesText, duration, grouped } from "../numbers-text.ts";
import { Interrupted, UsageError } from "../usage.ts";
import { percentText, sqnrText } from "./eval.ts";

const EXAMPLES = `
Examples:
  fewbit quantize model.onnx --dry-run
  fewbit quantize model.onnx -o model.int8.onnx --data images/ --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  fewbit quantize model.onnx -o model.int8.onnx --data train.safetensors -n 1000 --target onnxruntime-web
  fewbit quantize model.onnx -o model.int8.onnx --data calibration.ts --observer percentile --exclude Softmax,head.*
  fewbit quantize llm.onnx -o llm.int4.onnx --method weight-only --weight-bits 4 --group-size 128   (any size)
  fewbit quantize model.onnx -o model.int8.onnx --data big/ --resume calibration.state   (killed? the same again)`;

/** Samples that the check compares both models on, unless --test gives data of its own. */
const CHECKED_SAMPLES = 128;
/** Seconds each model is timed for the table. */
const TIMED_SECONDS = 0.15;

interface Flags extends CommonFlags, BackendFlags, DataFlags, QuantizeFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly externalData?: boolean;
  readonly dryRun?: boolean;
  readonly resume?: string;
  readonly checkpointEvery: number;
  readonly test?: string;
  readonly check: boolean;
}

function outputFor(file: string, { output }: Flags): string {
  if (output !== undefined) return output;
  const { dir, name } = path.parse(file);
  return path.join(dir, `${name}.quantized.onnx`);
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([precision, count]) => `${count} ${precision}`)
    .join(", ");
}

function planText({ operators, counts, warnings, method, target, observer, format }: QuantizePlan): string {
  const rows = operators.map(({ name, operator, precision, activations, weights, why }) => [
    name, operator, precision, activations ?? "", weights ?? "", why,
  ]); // prettier-ignore
  const settings = [method, `for ${target}`, ...(observer ? [observer] : []), format].join(", ");
  return [
    table(["name", "operator", "becomes", "activations", "weights", "why"], rows),
    "",
    `${countsText(counts)}  (${settings})`,
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join("\n");
}

/** Batches by input name, from where a resumed calibration stopped. */
function calibrationOf(
  { source, batchSize, limit }: OpenedData,
  names: readonly string[],
  seen: number,
): CalibrationData {
  return async function* (skip) {
    const from = skip > 0 ? seen : 0;
    const options = { batchSize, from, ...(limit !== undefined && { limit }) };
    for await (const { inputs } of source.batches(options))
      yield Object.fromEntries(names.map((name, i) => [name, inputs[i]!]));
  };
}

/** Ctrl-C stops between two batches. */
function untilInterrupted(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Interrupted("interrupted"));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  return {
    signal: controller.signal,
    release() {
      process.removeListener("SIGINT", stop);
      process.removeListener("SIGTERM", stop);
    },
  };
}

interface Check {
  readonly backend: BackendName;
  readonly threads: number;
  readonly data: string;
  readonly models: readonly Evaluation[];
  readonly latency: readonly Latency[];
}

/** Both models on data, and timed. */
async function checkResult(
  file: string,
  float: GraphModule,
  result: QuantizeResult,
  test: OpenedData,
  flags: Flags,
  terminal: Terminal,
): Promise<Check> {
  const [{ openSession }, { evaluate }, { measureLatency }, { zeroInputs }] = await Promise.all([
    import("../../onnx/backend/index.ts"),
    import("../../report/evaluate.ts"),
    import("../../report/latency.ts"),
    import("../../graph/zero-inputs.ts"),
  ]);
  const models = [
    { name: "float", session: await openSession({ module: float, file }, flags) },
    { name: "quantized", session: await openSession({ module: result.graph }, flags) },
  ];
  const limit = flags.test === undefined ? Math.min(test.limit ?? Infinity, CHECKED_SAMPLES) : test.limit;
  const total = test.samples === null ? (limit ?? null) : Math.min(test.samples, limit ?? Infinity);
  const progress = terminal.progress("checking", total);
  const evaluations = await evaluate(models, test.source, {
    batchSize: test.batchSize,
    ...(limit !== undefined && { limit }),
    onProgress: (samples) => progress.update(samples),
  }).finally(() => progress.stop());
  const latency = await measureLatency(models, zeroInputs(float.graph), { seconds: TIMED_SECONDS, runs: 5 });
  for (const { session } of models) await session.dispose();
  const { backend, threads } = models[0]!.session;
  return { backend, threads, data: test.source.name, models: evaluations, latency };
}

function checkText(check: Check, bytes: QuantizeResult["report"]["bytes"]): string {
  const rows = check.models.map(({ name, top1, top5, sqnr }, i) => [
    name,
    bytesText(i === 0 ? bytes.before : bytes.after),
    percentText(top1),
    percentText(top5),
    sqnrText(sqnr),
    `${check.latency[i]!.median.toPrecision(3)} ms`,
  ]);
  const samples = check.models[0]!.samples;
  const batch = check.latency[0]!.batch;
  return [
    table(["model", "size", "top-1", "top-5", "SQNR", `latency (batch ${batch})`], rows),
    "",
    `SQNR${check.models[0]!.top1 === null ? "" : " and accuracy"} on ${grouped(samples)} samples of ${check.data}; ${check.backend}, ${check.threads} thread${check.threads > 1 ? "s" : ""}`,
  ].join("\n");
}

interface Written {
  /** The model's file, and the one with its values where there is one. */
  readonly files: readonly string[];
  readonly resumed: boolean;
}

function resultText(
  { files, resumed }: Written,
  { bytes, counts, samples, seconds, warnings, method }: QuantizeReport,
  check: Check | null,
): string {
  const calibrated =
    samples > 0 ? `, calibrated on ${grouped(samples)} samples in ${duration(seconds.calibration)}` : "";
  return [
    `${files.join(" with its values in ")}: ${bytesText(bytes.after)}, ${((100 * bytes.after) / bytes.before).toFixed(0)} % of ${bytesText(bytes.before)}`,
    `operators: ${countsText(counts)} (${method}${calibrated}${resumed ? ", resumed" : ""})`,
    ...warnings.map((warning) => `warning: ${warning}`),
    ...(check ? ["", checkText(check, bytes)] : []),
  ].join("\n");
}

async function dryRun(file: string, flags: Flags, terminal: Terminal): Promise<void> {
  const [{ planQuantization }, { checkModelFile, naming }] = await Promise.all([
    import("../../onnx/quantize/index.ts"),
    import("../model.ts"),
  ]);
  checkModelFile(file);
  const plan = naming(file, () => planQuantization(file, quantizeOptions(flags)));
  terminal.result({ model: file, ...plan }, () => planText(plan));
}

/** Who runs the float model during calibration. */
async function runnerFor(flags: Flags) {
  const { backend, threads } = flags;
  if (backend !== "fewbit") {
    const { ortCalibration } = await import("../../onnx/backend/index.ts");
    return { runner: ortCalibration(backend, threads === undefined ? {} : { threads }), dispose: () => undefined };
  }
  const [{ engineRunner }, { Engine }] = await Promise.all([
    import("../../onnx/quantize/index.ts"),
    import("../../engine/index.ts"),
  ]);
  const engine = new Engine({ threads: threads ?? "auto" });
  return { runner: engineRunner({ engine }), dispose: () => engine.dispose() };
}

/** Before any work: may the result be written? */
async function checkOutput(file: string, output: string, { force = false }: Flags): Promise<void> {
  const { checkWritable } = await import("../../data/files/index.ts");
  if (path.resolve(output) === path.resolve(file)) throw new UsageError("the output would replace the model itself");
  checkWritable(output, { force });
  checkWritable(`${output}.data`, { force }); // values above 2 GB go there
}

async function quantize(file: string, flags: Flags): Promise<void> {
  const terminal = new Terminal(flags);
  if (flags.dryRun) return dryRun(file, flags, terminal);
  const [{ quantizeOnnx }, model, { openDataFor }, { openCheckpoints }] = await Promise.all([
    import("../../onnx/quantize/index.ts"),
    import("../model.ts"),
    import("../data.ts"),
    import("../checkpoint.ts"),
  ]);
  const output = outputFor(file, flags);
  model.checkModelFile(file);
  await checkOutput(file, output, flags);
  const needsData = flags.method === "static";
  if (needsData && flags.data === undefined)
    throw new UsageError(
      "static quantization needs real inputs: --data <file or folder> (or --method dynamic, weight-only)",
    );
  const float = model.loadModel(file, quantizeOptions(flags).import);
  const specs = model.inputSpecs(float);
  const data = flags.data === undefined ? null : await openDataFor(specs, flags);
  const test = flags.test === undefined ? data : await openDataFor(specs, { ...flags, data: flags.test });
  const checkpoints = openCheckpoints(flags.resume, flags.checkpointEvery);
  const names = specs.map(({ name }) => name);
  const seen = checkpoints.state?.samples ?? 0;
  if (checkpoints.state) terminal.note(`resuming at sample ${grouped(seen)}`);
  const { runner, dispose } = needsData ? await runnerFor(flags) : { runner: undefined, dispose: () => undefined };
  const { signal, release } = untilInterrupted();
  const progress = terminal.progress("calibrating", needsData ? (data?.samples ?? null) : 0, { from: seen });
  const result = await quantizeOnnx(file, needsData && data ? calibrationOf(data, names, seen) : null, {
    ...quantizeOptions(flags),
    ...checkpoints.options,
    ...(runner && { runner }),
    signal,
    onProgress: ({ phase, samples }) => phase === "calibrating" && progress.update(samples),
  }).finally(() => {
    progress.stop();
    release();
    dispose();
  });
  const files = await result.write(output, flags.externalData === true ? 0 : undefined);
  checkpoints.done();
  const check = test && flags.check ? await checkResult(file, float, result, test, flags, terminal) : null;
  const { report } = result;
  terminal.result({ model: file, output, files, report, check }, () =>
    resultText({ files, resumed: checkpoints.state !== null }, report, check),
  );
}

export function addQuantize(program: Command): void {
  const command = program
    .command("quantize")
    .summary("make a model smaller and faster")
    .description(
      "Quantizes an ONNX model: integers instead of floats, ranges learnt from data, the result checked against the float model.",
    )
    .argument("<model.onnx>", "the float model")
    .option("-o, --output <file>", "where the result goes (default: <model>.quantized.onnx)")
    .option("-f, --force", "replace an existing file")
    .option("--external-data", "values in a file beside the model, <output>.data, as they always are above 2 GB")
    .option("--dry-run", "only tell what would become of each operator, and why; reads no data");
  addQuantizeOptions(command);
  addDataOptions(command, { required: false })
    .option("--test <path>", "data to check the result on (default: the first samples of --data)")
    .option("--no-check", "write the result without comparing it with the float model")
    .option("--seed <number>", "take the samples in a random order, this one", wholeNumber)
    .option("--resume <file>", "keep the state of calibration in this file, and go on from it if it is there")
    .option("--checkpoint-every <batches>", "how often the state is kept", positiveInteger, 16);
  addCommon(addBackendOptions(addModelOptions(command)))
    .addHelpText("after", EXAMPLES)
    .action(quantize);
}
