#!/usr/bin/env node
/** `fewbit`: the command line. Compiled code is cached where Node can, then the program is loaded and run. */

import module from "node:module";

(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
const { runProgram } = await import("./program.ts");
process.exitCode = await runProgram(process.argv.slice(2));
