/** `fewbit explain`: what every part of a model is, and what becomes of it. */

import type { Command } from "commander";
import type { GraphModule } from "../../graph/index.ts";
import { addCommon } from "../options.ts";
import type { CommonFlags } from "../options.ts";
import type { SubjectFlags } from "../subject.ts";
import { Terminal } from "../terminal.ts";
import { addSubjectOptions } from "./doctor.ts";

const EXAMPLES = `
For a program: every module, what it becomes when it is converted and by which rule, its observer, range, scale.
For an ONNX file: every step fewbit's engine takes, in integers or float, and why.

Examples:
  fewbit explain model.ts --qconfig x86
  fewbit explain model.ts --input 1,3,32,32 --json
  fewbit explain model.int8.onnx`;

type Flags = CommonFlags & SubjectFlags;

async function explainGraph(terminal: Terminal, file: string, module: GraphModule): Promise<void> {
  const { explainEngine, engineText } = await import("../../report/explain-engine.ts");
  const explanation = explainEngine(module);
  terminal.result({ model: file, ...explanation }, () => engineText(explanation));
}

async function explainModel(file: string, flags: Flags): Promise<void> {
  const [{ loadSubject }, { explain, explanationText }, { GraphModule }, { checkModelFile }] = await Promise.all([
    import("../subject.ts"),
    import("../../report/index.ts"),
    import("../../graph/index.ts"),
    import("../model.ts"),
  ]);
  const terminal = new Terminal(flags);
  checkModelFile(file);
  const { model, exampleInputs } = await loadSubject(file, flags);
  if (model instanceof GraphModule) return explainGraph(terminal, file, model);
  const explanation = explain(model, exampleInputs ?? undefined);
  terminal.result({ model: file, ...explanation }, () => explanationText(explanation));
}

export function addExplain(program: Command): void {
  const command = program
    .command("explain")
    .summary("what every part of a model is and becomes")
    .description("Tells for every part of a model what it is now, what it will become and by which rule.")
    .argument("<model>", "a program that exports the model (.js, .ts), or an ONNX file");
  addCommon(addSubjectOptions(command)).addHelpText("after", EXAMPLES).action(explainModel);
}
