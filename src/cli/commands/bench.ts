/** `fewbit bench`: how long models take, on one backend or several, timed in turn. */

import { Option } from "commander";
import type { Command } from "commander";
import type { InputSpec } from "../../data/index.ts";
import { ArgumentError } from "../../errors.ts";
import { backendNames } from "../../onnx/backend/backend.ts";
import type { GraphModule } from "../../graph/index.ts";
import type { BackendName } from "../../onnx/backend/backend.ts";
import type { Latency } from "../../report/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { addCommon, addModelOptions, importOptions, list, positiveInteger, wholeNumber } from "../options.ts";
import type { CommonFlags, ModelFlags } from "../options.ts";
import { table } from "../table.ts";
import { Terminal } from "../terminal.ts";
import { UsageError } from "../usage.ts";

const EXAMPLES = `
Models and backends are timed in turn, run by run, so that a busy machine is busy for all of them.

Examples:
  fewbit bench model.onnx
  fewbit bench model.onnx model.int8.onnx --threads 1 --batch 16
  fewbit bench model.int8.onnx --backend fewbit,onnxruntime-web,onnxruntime-node
  fewbit bench model.onnx --steps`;

interface Flags extends CommonFlags, ModelFlags {
  readonly backend?: readonly string[];
  readonly threads?: number;
  readonly batch: number;
  readonly seconds: number;
  readonly seed: number;
  readonly steps?: boolean;
}

function backendsOf(names: readonly string[] = ["fewbit"]): BackendName[] {
  const unknown = names.find((name) => !(backendNames as readonly string[]).includes(name));
  if (unknown === undefined) return names as BackendName[];
  throw new UsageError(`there is no backend ${unknown}: choose from ${backendNames.join(", ")}`);
}

/** Values from a normal distribution; integers small and not negative, so that they may be indices. */
async function madeUpInputs(specs: readonly InputSpec[], batch: number, seed: number): Promise<Tensor[]> {
  const [{ isFloat }, { Generator }, { randn, zeros }] = await Promise.all([
    import("../../tensor/dtype.ts"),
    import("../../tensor/random.ts"),
    import("../../tensor/create.ts"),
  ]);
  const generator = new Generator(seed);
  return specs.map(({ name, dtype, shape }) => {
    if (shape === null || shape.slice(1).includes(null))
      throw new ArgumentError(name, {}, "the model leaves the shape of this input open", "Give it: --input-shape");
    const sizes = shape.map((size) => size ?? batch);
    return isFloat(dtype) ? randn(sizes, { generator, dtype }) : zeros(sizes, { dtype });
  });
}

function row({ name, backend, threads, batch, median, p90, fastest, first, throughput }: Latency): string[] {
  const ms = (value: number): string => value.toFixed(value < 10 ? 3 : 2);
  return [
    name, backend, String(threads), String(batch), ms(median), ms(p90), ms(fastest), ms(first), throughput.toFixed(throughput < 100 ? 1 : 0),
  ]; // prettier-ignore
}

const HEADER = ["model", "backend", "threads", "batch", "median ms", "p90 ms", "fastest ms", "first ms", "samples/s"];

async function bench(files: readonly string[], flags: Flags): Promise<void> {
  const [model, { openSession }, { measureLatency }] = await Promise.all([
    import("../model.ts"),
    import("../../onnx/backend/index.ts"),
    import("../../report/latency.ts"),
  ]);
  const terminal = new Terminal(flags);
  const backends = backendsOf(flags.backend);
  const modules = files.map((file) => model.loadModel(file, importOptions(flags)));
  const specs = modules.map(model.inputSpecs);
  const types = new Set(specs.map((list) => JSON.stringify(list.map(({ dtype, shape }) => [dtype, shape]))));
  if (types.size > 1) throw new UsageError("models that are compared must take the same inputs");
  const inputs = await madeUpInputs(specs[0]!, flags.batch, flags.seed);
  if (flags.steps) return printSteps(terminal, modules[0]!, inputs, flags);
  const models: { name: string; session: Awaited<ReturnType<typeof openSession>> }[] = [];
  for (const [i, file] of files.entries())
    for (const backend of backends)
      models.push({ name: file, session: await openSession({ module: modules[i]!, file }, { ...flags, backend }) });
  const progress = terminal.progress("timing", 100, { unit: "%" });
  const results = await measureLatency(models, inputs, {
    seconds: flags.seconds,
    onProgress: (part) => progress.update(Math.floor(100 * part)),
  }).finally(() => progress.stop());
  for (const { session } of models) await session.dispose();
  terminal.result(results, () => table(HEADER, results.map(row)));
}

async function printSteps(
  terminal: Terminal,
  module: GraphModule,
  inputs: readonly Tensor[],
  flags: Flags,
): Promise<void> {
  const [{ compile }, { Engine }] = await Promise.all([
    import("../../compile/index.ts"),
    import("../../engine/index.ts"),
  ]);
  const engine = new Engine({ threads: flags.threads ?? 1 });
  const explanation = compile(module.graph, { engine, fallback: "reference" }).explain(inputs, { repeats: 15 });
  terminal.result(explanation, () => explanation.toString());
  engine.dispose();
}

export function addBench(program: Command): void {
  const command = program
    .command("bench")
    .summary("how fast models are")
    .description("Times models on made-up inputs: median, nine tenths, throughput.")
    .argument("<model.onnx...>", "the files")
    .addOption(
      new Option("--backend <names>", `who computes, several with commas: ${backendNames.join(", ")}`).argParser(list),
    )
    .option("--threads <count>", "threads to compute with (default: one a processor)", positiveInteger)
    .option("-b, --batch <size>", "samples at a time", positiveInteger, 1)
    .option("--seconds <count>", "how long each is timed", Number, 2)
    .option("--seed <number>", "of the made-up inputs", wholeNumber, 0)
    .option("--steps", "instead: the time of each step of fewbit's engine, for the first model");
  addCommon(addModelOptions(command)).addHelpText("after", EXAMPLES).action(bench);
}
