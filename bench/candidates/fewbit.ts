/**
 * fewbit as a candidate: compiled from the same ONNX files the others read, on an engine of the given build and threads.
 */

import { compile } from "../../src/compile/index.ts";
import type { Executable } from "../../src/compile/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { EngineOptions } from "../../src/engine/engine.ts";
import { importOnnx } from "../../src/onnx/index.ts";
import type { IntegerForm } from "../models/onnx.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import type { Candidate, Prepared, Skipped } from "../lib/candidate.ts";
import type { BenchCase } from "../lib/case.ts";
import { randomBytes, randomFloats } from "../lib/random.ts";
import { readModel, signatureOf } from "../models/files.ts";
import { imageTensor } from "../models/networks.ts";

function inputTensor({ work, precision }: BenchCase): Tensor {
  if (work.kind === "network") return imageTensor(work.batch);
  const { input } = signatureOf(work);
  const length = input.reduce((a, b) => a * b, 1);
  return precision === "f32"
    ? new Tensor("float32", input, randomFloats(length, 1))
    : new Tensor("uint8", input, randomBytes(length, 1));
}

/** The form of a model that is compiled: a product of integers is a linear layer. */
function formOf({ work, precision }: BenchCase): "f32" | IntegerForm {
  if (precision === "f32") return "f32";
  return work.kind === "gemm" ? "qdq-gemm" : "qdq";
}

class Fewbit implements Candidate {
  private readonly engine: Engine;

  constructor(options: EngineOptions) {
    this.engine = new Engine(options);
  }

  describe(): string {
    const { build, dot, threads } = this.engine;
    return `fewbit, ${build} build, dot product ${dot}, ${threads} thread${threads > 1 ? "s" : ""}, Node ${process.version}`;
  }

  prepare(work: BenchCase): Promise<Prepared | Skipped> {
    switch (work.work.kind) {
      case "gemm":
      case "conv":
      case "network":
        return Promise.resolve(this.runModel(work));
      default:
        return Promise.resolve({ skipped: "not there yet" });
    }
  }

  private runModel(work: BenchCase): Prepared {
    const executable: Executable = compile(importOnnx(readModel(work, formOf(work))), { engine: this.engine });
    const input = inputTensor(work);
    let output = executable.runOne(input);
    return {
      call: () => {
        output = executable.runOne(input);
      },
      output: () => Float32Array.from(output.data),
      dispose: () => executable.dispose(),
    };
  }
}

export function fewbit(options: EngineOptions): Candidate {
  return new Fewbit(options);
}
