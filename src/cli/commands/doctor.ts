/** `fewbit doctor`: mistakes in a model about to be quantized; exit code 1 when there are any. */

import { Option } from "commander";
import type { Command } from "commander";
import type { FxRequest, Target } from "../../doctor/index.ts";
import { addCommon, repeated } from "../options.ts";
import type { CommonFlags } from "../options.ts";
import type { Subject, SubjectFlags } from "../subject.ts";
import { Terminal } from "../terminal.ts";
import { UsageError } from "../usage.ts";

const EXAMPLES = `
The program exports the model as \`model\` or default: a Module, its class, or a function that makes one; and
\`exampleInputs\`, the arguments of its forward. Graphs of ONNX files are examined as well.

With --fx: what prepareFx would say (prepareQatFx with --flow qat). The program may export what it will be called with,
\`qconfigMapping\`, \`prepareCustomConfig\` and \`backendConfig\`; else it is the default mapping of --qconfig, or of x86.

Exit code: 0 when nothing was found, 1 when something was, 2 for a wrong command line.

Examples:
  fewbit doctor model.ts --input 1,3,32,32
  fewbit doctor model.ts --qconfig x86 --target avx2
  fewbit doctor model.ts --flow qat --json
  fewbit doctor model.ts --fx --qconfig qnnpack
  fewbit doctor model.int8.onnx --target avx2`;

interface Flags extends CommonFlags, SubjectFlags {
  readonly target?: Target;
}

/** What prepareFx will be called with: the program's own settings, else the backend's default mapping. */
async function fxRequest(exports: Subject["exports"], { qconfig = "x86", flow }: Flags): Promise<FxRequest> {
  const { BackendConfig, PrepareCustomConfig, QConfigMapping, getDefaultQConfigMapping, getDefaultQatQConfigMapping } =
    await import("../../quantization/fx/index.ts");
  const own = <T>(name: string, type: new (...args: never[]) => T): T | undefined => {
    const value = exports[name];
    if (value === undefined || value instanceof type) return value;
    throw new UsageError(`the export ${name} is no ${type.name} of this installation`);
  };
  const defaultMapping = flow === "qat" ? getDefaultQatQConfigMapping : getDefaultQConfigMapping;
  const custom = own("prepareCustomConfig", PrepareCustomConfig);
  const backend = own("backendConfig", BackendConfig);
  return {
    qconfigMapping: own("qconfigMapping", QConfigMapping) ?? defaultMapping(qconfig as "x86"),
    ...(custom && { prepareCustomConfig: custom }),
    ...(backend && { backendConfig: backend }),
  };
}

async function examine(file: string, flags: Flags): Promise<void> {
  const [{ loadSubject }, { doctor, doctorExitCode, findingsText }, { GraphModule }, { checkModelFile }] =
    await Promise.all([
      import("../subject.ts"),
      import("../../doctor/index.ts"),
      import("../../graph/index.ts"),
      import("../model.ts"),
    ]);
  const terminal = new Terminal(flags);
  checkModelFile(file);
  const { model, exports, exampleInputs } = await loadSubject(file, flags);
  if (flags.fx && model instanceof GraphModule) throw new UsageError("--fx is for programs: a graph is past prepareFx");
  if (exampleInputs === null && !(model instanceof GraphModule))
    throw new UsageError("give the shape of what the model takes, --input 1,3,32,32, or export exampleInputs");
  const { flow, target } = flags;
  const fx = flags.fx ? await fxRequest(exports, flags) : undefined;
  const findings = doctor(model, exampleInputs ?? [], {
    ...(flow && { flow }),
    ...(target && { target }),
    ...(fx && { fx }),
  });
  terminal.result({ model: file, findings }, () => findingsText(findings));
  process.exitCode = doctorExitCode(findings);
}

export function addSubjectOptions(command: Command): Command {
  return command
    .option("-i, --input <sizes>", "a tensor the model takes: 1,3,32,32 or int64[1,128] (repeat for more)", repeated)
    .option("--export <name>", "the program's export that is the model")
    .option("--qconfig <backend>", "give the whole model this backend's default qconfig: x86, qnnpack, onednn, fbgemm")
    .addOption(new Option("--flow <name>", "what the model is meant for").choices(["static", "qat"]));
}

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .summary("mistakes in a model about to be quantized")
    .description("Examines a model before calibration: each mistake with its module, the line, the cause and the fix.")
    .argument("<model>", "a program that exports the model (.js, .ts), or an ONNX file")
    .option("--fx", "examine the model as prepareFx will see it, no stubs needed")
    .addOption(new Option("--target <processor>", "where the integers will run").choices(["vnni", "avx2", "wasm"]));
  addCommon(addSubjectOptions(command)).addHelpText("after", EXAMPLES).action(examine);
}
