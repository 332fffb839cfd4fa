/** `fewbit inspect`: what is in an ONNX file. */

import type { Command } from "commander";
import type { InspectedValue, OnnxInspection } from "../../onnx/index.ts";
import { addCommon, addModelOptions, importOptions } from "../options.ts";
import type { CommonFlags, ModelFlags } from "../options.ts";
import { pairs, table } from "../table.ts";
import { Terminal } from "../terminal.ts";
import { bytesText, grouped } from "../numbers-text.ts";

const EXAMPLES = `
Examples:
  fewbit inspect model.onnx
  fewbit inspect model.onnx --graph
  fewbit inspect model.onnx --json | jq .quantization
  fewbit inspect detector.onnx --input-shape images=1,3,640,640`;

interface Flags extends CommonFlags, ModelFlags {
  readonly graph?: boolean;
}

function valueText({ name, dtype, shape }: InspectedValue): string {
  return `${name}: ${dtype}${shape ? `[${shape.map((size) => size ?? "?").join(", ")}]` : ""}`;
}

function quantizationText({ form, operators }: OnnxInspection["quantization"]): string {
  const list = Object.entries(operators).map(([name, count]) => `${count} ${name}`);
  return form === "float" ? "none: a float model" : `${form} (${list.join(", ")})`;
}

const runs = {
  compiled: "compiled",
  interpreted: "interpreted: some types are known only when it runs",
  none: "cannot run it",
} as const;

function engineText({ runs: how, steps, notes }: OnnxInspection["engine"]): string {
  const computing = Object.entries(steps).filter(([precision]) => precision !== "copy");
  const counts = computing.map(([precision, count]) => `${count} ${precision}`).join(", ");
  const lines = notes.map(({ operator, reason, count }) => `${count} ${operator}: ${reason}`);
  return [`${runs[how]}${counts ? `, steps: ${counts}` : ""}`, ...lines].join("\n");
}

function inspectionText(file: string, found: OnnxInspection): string {
  const { parameters, opsets, operators } = found;
  const types = Object.entries(parameters.byType).map(([type, { bytes }]) => `${type} ${bytesText(bytes)}`);
  const head = pairs([
    ["file", `${file}, ${bytesText(found.bytes)}`],
    ["made by", found.producer || "(not said)"],
    [
      "opset",
      Object.entries(opsets)
        .map(([domain, version]) => (domain === "" ? `${version}` : `${domain} ${version}`))
        .join(", "),
    ],
    ["inputs", found.inputs.map(valueText).join("\n") || "none"],
    ["outputs", found.outputs.map(valueText).join("\n") || "none"],
    [
      "parameters",
      `${grouped(parameters.count)}, ${bytesText(parameters.bytes)}${types.length > 0 ? ` (${types.join(", ")})` : ""}`,
    ],
    ["quantization", quantizationText(found.quantization)],
    ["fewbit's engine", engineText(found.engine)],
    ...Object.entries(found.metadata).map(([key, value]) => [key, value] as const),
  ]);
  const rows = operators.map(({ name, count, problem }) => [name, String(count), problem ?? ""]);
  return `${head}\n\n${table(["operator", "count", "not run by fewbit because"], rows)}`;
}

async function inspect(file: string, flags: Flags): Promise<void> {
  const [{ inspectOnnx }, { loadModel, checkModelFile, naming }] = await Promise.all([
    import("../../onnx/index.ts"),
    import("../model.ts"),
  ]);
  const terminal = new Terminal(flags);
  checkModelFile(file);
  if (flags.graph) {
    const text = loadModel(file, importOptions(flags)).toString();
    terminal.result({ file, graph: text }, () => text);
    return;
  }
  const found = naming(file, () => inspectOnnx(file, importOptions(flags)));
  terminal.result({ file, ...found }, () => inspectionText(file, found));
}

export function addInspect(program: Command): void {
  const command = program
    .command("inspect")
    .summary("what is in an ONNX file")
    .description(
      "Describes an ONNX file: inputs and outputs, operators, parameters, the integers in it, and what fewbit's engine would do with it.",
    )
    .argument("<model.onnx>", "the file")
    .option("--graph", "print the graph, a line an operator, as fewbit imports it");
  addCommon(addModelOptions(command)).addHelpText("after", EXAMPLES).action(inspect);
}
