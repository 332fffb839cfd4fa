/**
 * The commands, and what their errors become: exit code 1 and one sentence for what went wrong, 2 for a command line
 * that is wrong. Every command loads the parts it needs when it runs, so that `--help` is instant.
 */

import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ArgumentError, FewbitError } from "../errors.ts";
import { addBench } from "./commands/bench.ts";
import { addCompare } from "./commands/compare.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEval } from "./commands/eval.ts";
import { addExplain } from "./commands/explain.ts";
import { addInspect } from "./commands/inspect.ts";
import { addQuantize } from "./commands/quantize.ts";
import { addRun } from "./commands/run.ts";
import { Interrupted, UsageError } from "./usage.ts";

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

const EXAMPLES = `
Examples:
  fewbit inspect model.onnx
  fewbit quantize model.onnx -o model.int8.onnx --data images/ --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  fewbit eval model.int8.onnx --data test.safetensors
  fewbit compare model.onnx model.int8.onnx --data images/

fewbit help <command> tells everything about one command.`;

function makeProgram(): Command {
  const program = new Command("fewbit")
    .description("Make ONNX models small and fast, and see what that does to them. No Python.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "tell what a command does")
    .helpCommand("help [command]", "tell what a command does")
    .showHelpAfterError("(fewbit --help lists the commands)")
    .addHelpText("after", EXAMPLES);
  const add = [addInspect, addQuantize, addRun, addEval, addBench, addCompare, addExplain, addDoctor];
  for (const addCommand of add) addCommand(program);
  for (const command of [program, ...program.commands])
    command.exitOverride().configureHelp({ sortOptions: false, showGlobalOptions: false });
  for (const command of program.commands)
    command.showHelpAfterError(`(fewbit ${command.name()} --help tells everything about it)`);
  return program;
}

/** `--json` promises JSON on stdout whatever happens. */
function reportAsJson(error: Error): void {
  const fields = error instanceof FewbitError ? { where: error.where, rule: error.rule, fields: error.fields } : {};
  process.stdout.write(
    `${JSON.stringify({ error: { name: error.name, message: error.message, ...fields } }, null, 2)}\n`,
  );
}

function report(error: Error, json: boolean): void {
  if (json) reportAsJson(error);
  const known = error instanceof FewbitError || error instanceof UsageError;
  process.stderr.write(`fewbit: ${error.message}\n`);
  if (known) return;
  const trace = process.env["FEWBIT_DEBUG"] ? `\n${error.stack ?? ""}` : " Set FEWBIT_DEBUG=1 to see where.";
  process.stderr.write(`This should not have happened: it is a mistake in fewbit.${trace}\n`);
}

function exitCodeOf(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof Interrupted) {
    process.stderr.write("fewbit: interrupted\n");
    return EXIT_INTERRUPTED;
  }
  report(error instanceof Error ? error : new Error(String(error)), json);
  return error instanceof UsageError || error instanceof ArgumentError ? EXIT_USAGE : EXIT_FAILURE;
}

/** Runs a command line; gives its exit code. Does not end the process. */
export async function runProgram(args: readonly string[]): Promise<number> {
  // A reader that closes early (head) wants no more: no reason for a stack trace.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : EXIT_FAILURE));
  const program = makeProgram();
  if (args.length === 0) {
    program.outputHelp({ error: true });
    return EXIT_USAGE;
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return exitCodeOf(error, args.includes("--json"));
  }
}
