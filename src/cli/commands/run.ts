/** `fewbit run`: one run of a model on given tensors. */

import path from "node:path";
import type { Command } from "commander";
import type { InputSpec } from "../../data/index.ts";
import type { GraphModule } from "../../graph/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { addBackendOptions, addCommon, addModelOptions, importOptions, repeated } from "../options.ts";
import type { BackendFlags, CommonFlags, ModelFlags } from "../options.ts";
import { table } from "../table.ts";
import { Terminal } from "../terminal.ts";
import { duration } from "../numbers-text.ts";
import { UsageError } from "../usage.ts";

const EXAMPLES = `
Examples:
  fewbit run model.onnx --input x.npy
  fewbit run model.onnx --input x.npy -o y.npz
  fewbit run bert.onnx --input input_ids=ids.npy --input attention_mask=mask.npy -o y.safetensors
  fewbit run model.onnx --input all.npz --backend onnxruntime-node`;

interface Flags extends CommonFlags, ModelFlags, BackendFlags {
  readonly input?: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
}

/** Tensors of the files given with --input, by input name; "" for the one of a .npy file without a name. */
async function readInputs(given: readonly string[]): Promise<Map<string, Tensor>> {
  const { openArrays } = await import("../../data/files/index.ts");
  const found = new Map<string, Tensor>();
  for (const text of given) {
    const at = text.indexOf("=");
    const [name, file] = at > 0 ? [text.slice(0, at), text.slice(at + 1)] : ["", text];
    const arrays = openArrays(file);
    const only = name !== "" && arrays.size === 1 ? [...arrays.values()][0] : undefined;
    if (only) found.set(name, only.whole());
    else for (const [key, array] of arrays) found.set(key, array.whole());
  }
  return found;
}

function choose(specs: readonly InputSpec[], found: ReadonlyMap<string, Tensor>): Tensor[] {
  return specs.map(({ name }) => {
    const tensor = found.get(name) ?? (specs.length === 1 && found.size === 1 ? [...found.values()][0] : undefined);
    if (tensor) return tensor;
    const names = specs.map((spec) => spec.name).join(", ");
    throw new UsageError(`there is no tensor for the input ${name}: give --input ${name}=file.npy (inputs: ${names})`);
  });
}

function outputNames(module: GraphModule): readonly string[] {
  const info = module.preserved["onnx"] as { outputs: readonly string[] } | undefined;
  return info?.outputs ?? module.graph.outputs.map((_, i) => `output_${i}`);
}

type Encoder = (outputs: ReadonlyMap<string, Tensor>) => Uint8Array;

/** The writer for a file's extension. @throws UsageError when it cannot hold the outputs. */
async function encoderFor(file: string, count: number): Promise<Encoder> {
  const { writeNpy, writeNpz, writeSafetensors } = await import("../../data/index.ts");
  switch (path.extname(file).toLowerCase()) {
    case ".npz":
      return writeNpz;
    case ".safetensors":
      return writeSafetensors;
    case ".npy":
      if (count === 1) return (outputs) => writeNpy([...outputs.values()][0]!);
      throw new UsageError(`the model has ${count} outputs, a .npy file holds one: write .npz`);
    default:
      throw new UsageError(`outputs are written to .npy, .npz or .safetensors files, not to ${file}`);
  }
}

function summary([name, x]: readonly [string, Tensor]) {
  let [min, max, sum] = [Infinity, -Infinity, 0];
  for (const value of x.data) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  const first = Array.from(x.data.subarray(0, 8));
  return { name, dtype: x.dtype, shape: x.shape, min, max, mean: sum / Math.max(x.numel, 1), first };
}

async function run(file: string, flags: Flags): Promise<void> {
  const [model, data, files, { openSession }] = await Promise.all([
    import("../model.ts"),
    import("../../data/index.ts"),
    import("../../data/files/index.ts"),
    import("../../onnx/backend/index.ts"),
  ]);
  const terminal = new Terminal(flags);
  const { output } = flags;
  const module = model.loadModel(file, importOptions(flags));
  const names = outputNames(module);
  const encode = output === undefined ? null : await encoderFor(output, names.length);
  if (output !== undefined) files.checkWritable(output, { force: flags.force ?? false });
  const specs = model.inputSpecs(module);
  const given = choose(specs, await readInputs(flags.input ?? []));
  const inputs = given.map((x, i) => data.preprocess(x, specs[i]!, { scale: 1 }));
  const session = await openSession({ module, file }, flags);
  const started = performance.now();
  const tensors = await session.run(inputs);
  const seconds = (performance.now() - started) / 1000;
  await session.dispose();
  const outputs = new Map(names.map((name, i) => [name, tensors[i]!]));
  if (output !== undefined && encode) files.writeWhole(output, encode(outputs));
  const summaries = [...outputs].map(summary);
  const result = {
    model: file,
    backend: session.backend,
    threads: session.threads,
    seconds,
    outputs: summaries,
    written: output ?? null,
  };
  terminal.result(result, () => {
    const short = (value: number): string => String(Number(value.toPrecision(5)));
    const rows = summaries.map(({ name, dtype, shape, min, max, mean, first }) => [
      name, `${dtype}[${shape.join(", ")}]`, short(min), short(max), short(mean), first.map(short).join(" "),
    ]); // prettier-ignore
    const text = table(["output", "type", "min", "max", "mean", "first values"], rows);
    return `${text}\n\n${duration(seconds)} on ${session.backend}${output === undefined ? "" : `; written to ${output}`}`;
  });
}

export function addRun(program: Command): void {
  const command = program
    .command("run")
    .summary("run a model on tensors from files")
    .description(
      "Runs a model once on tensors from .npy, .npz or .safetensors files, as they are, and writes its outputs.",
    )
    .argument("<model.onnx>", "the file")
    .option("-i, --input <[name=]file>", "tensors for the inputs (repeat for more)", repeated)
    .option("-o, --output <file>", "where outputs go: .npy, .npz or .safetensors")
    .option("-f, --force", "replace an existing file");
  addCommon(addBackendOptions(addModelOptions(command)))
    .addHelpText("after", EXAMPLES)
    .action(run);
}
